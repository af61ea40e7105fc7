"""Calls of the Web API, and what they are asked for."""

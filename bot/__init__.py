"""Parley: a self-hosted chat bot that answers with a language model in its own process."""

__version__ = "0.1.0"

"""Tokens: the bot's own, and the verification of those that Microsoft sends."""

"""Structured output: answer formats as grammars of llguidance, and replies held to them."""

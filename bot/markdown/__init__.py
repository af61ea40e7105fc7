"""Markdown as models write it, from text to what a platform draws (pure)."""

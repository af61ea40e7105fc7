"""Platforms' own dialects of Markdown, read by parsers that are not ours."""

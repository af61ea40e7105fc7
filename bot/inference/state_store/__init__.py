"""Saved states on disk. Each model has a folder of its own."""

"""Saved states on disk, each model's in a folder of its own."""

"""Threads and turns on disk."""

from bot.history.store import SqlThreadStore, open_store

__all__ = ["SqlThreadStore", "open_store"]

"""Chats of the page and the terminal: turns that many may watch, and all their answers."""

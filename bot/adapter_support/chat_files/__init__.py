"""Chats as files: what is exported, and read again."""

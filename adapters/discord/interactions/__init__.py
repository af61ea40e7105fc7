"""Slash commands, buttons, menus and forms: parsed, acknowledged in time, answered."""

"""The gateway connection, and its events in order."""

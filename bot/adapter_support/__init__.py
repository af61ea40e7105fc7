"""What adapters share: payloads, Markdown, the connection, addresses and settings."""

"""Discord's REST API: calls, channels, reply chains, posts and their buttons."""

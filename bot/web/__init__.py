"""Middlewares and keys of the HTTP server."""

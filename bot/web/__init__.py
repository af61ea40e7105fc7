"""The door of the HTTP server: who may pass, and how a refusal reads."""

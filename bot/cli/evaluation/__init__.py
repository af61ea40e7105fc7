"""``eval``: questions with checks."""

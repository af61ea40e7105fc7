"""Where model files are, and copies of them that compute faster here."""

"""The house in figures: ``make shape`` prints them, and the tests hold what must not come back."""

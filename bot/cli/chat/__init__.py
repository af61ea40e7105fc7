"""``chat``: the terminal as a place where people talk with Parley."""

"""What the rooms of the HTTP APIs share."""

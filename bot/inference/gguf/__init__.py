"""What a model file says of itself, and whether this machine can hold it."""

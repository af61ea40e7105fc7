"""What every room of the engine speaks of: sequences, steps, the model's port, streams."""

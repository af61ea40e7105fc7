"""What the composition root starts, watches and says."""

"""The pictures of the guides, taken from what really runs: one command each."""

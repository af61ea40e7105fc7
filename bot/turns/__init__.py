"""One turn, from a message on a platform to the end of its reply."""

"""Whose tokens are in which cells, what stays of idle threads and what is saved; pure."""

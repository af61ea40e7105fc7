"""Who runs in the next step, and how many tokens of whose prompt it carries; pure."""

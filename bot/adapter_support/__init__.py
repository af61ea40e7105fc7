"""What adapters have in common: Markdown into a markup of another kind, and calls that fail."""

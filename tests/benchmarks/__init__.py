"""Figures, one command each; what they mean is in README.md."""

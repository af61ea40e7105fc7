"""Formulas in LaTeX as text that people read. Pure."""

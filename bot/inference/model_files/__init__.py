"""Finds model files, and makes and compares requantised copies of them."""

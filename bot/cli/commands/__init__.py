"""What is typed after ``python -m bot``: a module for each word."""

"""``ask --batch``: a file of questions."""

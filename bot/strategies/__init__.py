"""How a question is answered, beside asking the model once."""

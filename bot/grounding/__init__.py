"""What a question is answered from, beside what the model knows."""

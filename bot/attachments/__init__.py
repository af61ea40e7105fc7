"""Files that come with a question: which are read, and what of them the model sees."""

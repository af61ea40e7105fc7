"""From messages to a prompt: the model's chat template and its special tokens."""

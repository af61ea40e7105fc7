"""From messages to the prompt's text, by the model's own template."""

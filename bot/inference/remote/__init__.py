"""The engine over remote servers with OpenAI's chat API, which run the model."""

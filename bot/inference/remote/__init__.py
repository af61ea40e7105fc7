"""The model on other machines: any server that speaks OpenAI's chat API."""

"""The engine loop of one model, its worker thread, its replies and its offloaded threads."""

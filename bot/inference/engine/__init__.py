"""The engine loop, the thread that computes, and the replies on their way."""

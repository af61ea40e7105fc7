"""Several models in one process, loaded on demand and unloaded when memory is short."""

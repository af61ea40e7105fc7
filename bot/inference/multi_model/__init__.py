"""Several models in one process: loaded when asked for, unloaded for others."""

"""Several models, of which as many are loaded as memory holds."""

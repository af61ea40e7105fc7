"""The engine: continuous batching over one model and one KV pool."""

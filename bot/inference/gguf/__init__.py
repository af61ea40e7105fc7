"""Metadata of GGUF files, and the memory that their models need."""

"""llama.cpp: the only room that touches native code; nothing outside it imports llama_cpp.

A model, one context with a unified KV pool, a sampler chain per slot. What is known of the
API, and which of its traps each line avoids, is said where it matters. Every import names its
module: there is nothing in here.
"""

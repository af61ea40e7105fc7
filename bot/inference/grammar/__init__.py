"""Structured output: answer formats as grammars in llama.cpp's notation (GBNF). Pure."""

"""The KV cache: which cells have which tokens, what stays of idle threads, what is saved. Pure."""

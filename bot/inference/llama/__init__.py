"""llama.cpp: the only room that touches native code; nothing outside it imports llama_cpp.

A model, one context with a unified KV pool, a sampler chain per slot. What is known of the
API, and which of its traps each line avoids, is said where it matters. Every import names its
module: in here is only what must be done before any of them loads llama.cpp.
"""

import os

from bot.inference.llama.openmp import wait_briefly

wait_briefly(os.environ)

"""llama.cpp: the only package that imports llama_cpp and calls native code.

It has a model, one context with a unified KV pool, and a sampler chain for each slot. Traps of
the API are explained at the lines that avoid them. This file only sets what must be set before
any module loads llama.cpp.
"""

import os

from bot.inference.llama.openmp import wait_briefly

wait_briefly(os.environ)

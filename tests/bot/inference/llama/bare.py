"""Replies of a model through llama.cpp's own calls alone, without Parley's code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import llama_cpp as llama
import numpy as np

from bot.inference.llama.backend import start_backend

TOLERANCE = 1.0
"""In logits. Other batches and other sequences in the pool change the rounding."""


def regret(path: Path, prompt: Sequence[int], said: Sequence[int]) -> float:
    """By how many logits, at most, a token of ``said`` was not the favourite where it stands."""
    start_backend()
    model = llama.llama_model_load_from_file(str(path).encode(), llama.llama_model_default_params())
    params = llama.llama_context_default_params()
    params.n_threads = params.n_threads_batch = 1
    params.n_ctx = params.n_batch = params.n_ubatch = len(prompt) + len(said)
    context = llama.llama_init_from_model(model, params)
    try:
        logits = _scores(model, context, [*prompt, *said[:-1]])[len(prompt) - 1 :]
        chosen = logits[np.arange(len(said)), said]
        return float((logits.max(axis=1) - chosen).max())
    finally:
        llama.llama_free(context)
        llama.llama_model_free(model)


def _scores(model: object, context: object, tokens: list[int]) -> np.ndarray:
    """The logits after each token, evaluated in one batch."""
    batch = llama.llama_batch_init(len(tokens), 0, 1)
    batch.n_tokens = len(tokens)
    for position, token in enumerate(tokens):
        batch.token[position], batch.pos[position] = token, position
        batch.n_seq_id[position], batch.seq_id[position][0] = 1, 0
        batch.logits[position] = 1
    assert llama.llama_decode(context, batch) == 0
    num_vocab = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(model))
    shape = len(tokens), num_vocab
    scores = np.ctypeslib.as_array(llama.llama_get_logits(context), shape).copy()
    llama.llama_batch_free(batch)
    return scores

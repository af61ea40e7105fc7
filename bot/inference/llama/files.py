"""Model files: loads them, reads their metadata and requantises them."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any

import llama_cpp as llama

from bot.errors import ModelError
from bot.inference.gguf.memory_check import ModelFacts
from bot.inference.gguf.metadata import read_lists
from bot.inference.gguf.parts import num_bytes_of
from bot.inference.llama.backend import start_backend
from bot.inference.llama.log import log


def load_weights(
    path: Path, gpu_layers: int, on_progress: Callable[[float], None] | None = None
) -> Any:
    """llama.cpp's handle of the model, which the caller must free. Raises ModelError."""
    start_backend()
    params = llama.llama_model_default_params()
    params.n_gpu_layers = gpu_layers

    def report(share: float, _data: object) -> bool:
        if on_progress:
            on_progress(share)
        return True

    callback = llama.llama_progress_callback(report)
    params.progress_callback = callback
    return _load(path, params)


def load_vocabulary(path: Path) -> Any:
    """Like ``load_weights``, but with vocabulary and metadata only."""
    start_backend()
    params = llama.llama_model_default_params()
    params.vocab_only = True
    return _load(path, params)


def _load(path: Path, params: Any) -> Any:
    log.last_error = ""
    model = llama.llama_model_load_from_file(str(path).encode(), params)
    if not model:
        why = log.last_error or "llama.cpp gave no reason"
        raise ModelError(
            f"The model {path} cannot be loaded ({why}): download it again or use another one."
        )
    return model


def read_facts(path: Path) -> ModelFacts:
    """Facts from a model file's metadata, without its tensors. Raises ModelError."""
    model = load_vocabulary(path)
    try:
        return facts_of(model, path)
    finally:
        llama.llama_model_free(model)


def facts_of(model: Any, path: Path) -> ModelFacts:
    num_vocab = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(model))
    metadata = _metadata(model) | read_lists(path)
    facts = ModelFacts.read(metadata, num_bytes=num_bytes_of(path), num_vocab=num_vocab)
    if not facts.is_causal:
        raise ModelError(
            f"{path} is an embedding model and cannot write text: set PARLEY_MODEL to a chat model."
        )
    return facts


def _metadata(model: Any) -> dict[str, str]:
    buffer = ctypes.create_string_buffer(1024)
    found = {}
    for index in range(llama.llama_model_meta_count(model)):
        llama.llama_model_meta_key_by_index(model, index, buffer, len(buffer))
        key = buffer.value.decode("utf-8", "replace")
        llama.llama_model_meta_val_str_by_index(model, index, buffer, len(buffer))
        found[key] = buffer.value.decode("utf-8", "replace")
    return found


def read_kind(path: Path) -> AttentionKind:
    """A model file's kind according to llama.cpp, without its weights. Raises ModelError."""
    start_backend()
    params = llama.llama_model_default_params()
    params.no_alloc, params.load_mode = True, llama.LLAMA_LOAD_MODE_NONE
    model = _load(path, params)
    try:
        return kind_of(model)
    finally:
        llama.llama_model_free(model)


def kind_of(model: Any) -> AttentionKind:
    if llama.llama_model_is_recurrent(model):
        return AttentionKind.RECURRENT
    if llama.llama_model_is_hybrid(model):
        return AttentionKind.HYBRID
    return (
        AttentionKind.SLIDING_WINDOW if llama.llama_model_n_swa(model) else AttentionKind.ATTENTION
    )


def quantize(source: Path, target: Path, quantisation: str, num_threads: int) -> None:
    """Write a copy of ``source`` in that quantisation, such as Q8_0. Raises ModelError."""
    start_backend()
    params = llama.llama_model_quantize_default_params()
    params.ftype = getattr(llama, f"LLAMA_FTYPE_MOSTLY_{quantisation}")
    params.nthread = num_threads
    params.allow_requantize = True
    log.last_error = ""
    files = str(source).encode(), str(target).encode()
    if llama.llama_model_quantize(*files, ctypes.byref(params)):
        raise ModelError(f"llama.cpp could not write it: {log.last_error or 'no reason given'}")


class AttentionKind(StrEnum):
    """Its value is shown by ``doctor``."""

    ATTENTION = "full attention"
    SLIDING_WINDOW = "sliding-window attention"
    RECURRENT = "recurrent"
    HYBRID = "hybrid"

    @property
    def can_reuse(self) -> bool:
        """Whether the cells of evaluated tokens can be trimmed, kept and shared.

        The state of other kinds belongs to the whole text so far, so the next turn of a thread
        is evaluated from its first token.
        """
        return self is AttentionKind.ATTENTION

"""Checks llama.cpp's binding and starts its backend, once in a process."""

from __future__ import annotations

from functools import cache

import llama_cpp as llama

from bot.errors import ModelError
from bot.inference.llama.log import log

_TESTED = "0.3.36"
_USED_FIELDS = {
    "llama_context_params": ("n_ctx", "n_batch", "n_ubatch", "n_seq_max", "kv_unified", "no_perf"),
    "llama_model_params": ("n_gpu_layers", "vocab_only", "no_alloc", "progress_callback"),
    "llama_batch": ("n_tokens", "token", "pos", "n_seq_id", "seq_id", "logits"),
}
_USED_FUNCTIONS = (
    "llama_decode",
    "llama_memory_seq_rm",
    "llama_sampler_sample",
    "llama_state_seq_get_data",
    "llama_state_seq_set_data",
    "llama_tokenize",
)


@cache
def start_backend() -> None:
    """Must be called before any other function of llama.cpp. Raises ModelError."""
    _check_binding()
    log.install()
    llama.llama_backend_init()


def _check_binding() -> None:
    """Refuse a binding without what we use: it is hand-written against a changing C API."""
    missing = [name for name in _USED_FUNCTIONS if not hasattr(llama, name)]
    for struct, fields in _USED_FIELDS.items():
        known = {field[0] for field in getattr(llama, struct)._fields_}
        missing += [f"{struct}.{field}" for field in fields if field not in known]
    if missing:
        raise ModelError(
            f"llama-cpp-python {llama.__version__} lacks {', '.join(missing)}: install the "
            f"tested version with `pip install llama-cpp-python=={_TESTED}`."
        )


def system_info() -> str:
    """The features that llama.cpp was built with, in its own words."""
    start_backend()
    info: bytes = llama.llama_print_system_info()
    return info.decode()


def supports_gpu() -> bool:
    start_backend()
    return bool(llama.llama_supports_gpu_offload())

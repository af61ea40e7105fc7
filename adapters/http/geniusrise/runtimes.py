"""What the runtimes of Geniusrise assume where a request does not say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

UNLIMITED = 2**31 - 1
"""Tokens of an answer that only the model's window bounds."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """``sampling``: fields of ``Sampling``; ``max_tokens`` None: Parley's own limit."""

    sampling: Mapping[str, float]
    max_tokens: int | None


PIPELINE = Runtime({}, None)
"""Hugging Face's goes by the model's own defaults, and so does Parley by its own."""

VLLM = Runtime(
    {"temperature": 0.7, "top_p": 1.0, "top_k": 0, "min_p": 0.0, "repeat_penalty": 1.0},
    UNLIMITED,
)
_SAMPLERS = {
    "top_p": 0.95,
    "top_k": 40,
    "min_p": 0.05,
    "typical_p": 1.0,
    "repeat_penalty": 1.1,
}
LLAMA_CPP = Runtime({"temperature": 0.2, **_SAMPLERS}, UNLIMITED)
RAW_LLAMA_CPP = Runtime({"temperature": 0.8, **_SAMPLERS}, 16)
"""For a prompt without messages."""

"""Dialects: features of kinds of servers beyond OpenAI's API, found by their answers. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

_LLAMA_CPP = {"top_k": "top_k", "min_p": "min_p", "repeat_penalty": "repeat_penalty"}
_LLAMA_SERVER = {**_LLAMA_CPP, "dry_multiplier": "dry_multiplier"}
_VLLM = {"top_k": "top_k", "min_p": "min_p", "repeat_penalty": "repetition_penalty"}
_WINDOW_KEYS = ("max_model_len", "context_window", "context_length", "max_context_length")


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """How a kind of server counts the tokens of a text; ``path`` replaces ``/v1``."""

    path: str
    ask: Callable[[str, str], dict[str, Any]]
    read: Callable[[dict[str, Any]], object]

    def num_tokens(self, answer: object) -> int | None:
        found = self.read(answer) if isinstance(answer, dict) else None
        return found if isinstance(found, int) and not isinstance(found, bool) else None


@dataclass(frozen=True, slots=True)
class Dialect:
    """A kind of server. ``samplers``: field of ``Sampling`` -> the server's name for it."""

    name: str = "OpenAI"
    tokenizer: Tokenizer | None = None
    samplers: Mapping[str, str] = field(default_factory=dict)


def _length(answer: dict[str, Any]) -> object:
    tokens = answer.get("tokens")
    return len(tokens) if isinstance(tokens, list) and "count" not in answer else None


PLAIN = Dialect()
DIALECTS = (
    Dialect(
        "vLLM",
        Tokenizer("/tokenize", lambda m, t: {"model": m, "prompt": t}, lambda a: a.get("count")),
        _VLLM,
    ),
    Dialect(
        "llama-server", Tokenizer("/tokenize", lambda _, t: {"content": t}, _length), _LLAMA_SERVER
    ),
    Dialect(
        "llama-cpp-python",
        Tokenizer("/extras/tokenize/count", lambda _, t: {"input": t}, lambda a: a.get("count")),
        _LLAMA_CPP,
    ),
)


def windows_of(models: object) -> dict[str, int | None]:
    """Model id -> context window, from ``GET /v1/models``; None: not stated."""
    entries = models.get("data") if isinstance(models, dict) else None
    found = (entry for entry in entries or () if isinstance(entry, dict) and entry.get("id"))
    return {str(entry["id"]): _window(entry) for entry in found}


def _window(entry: dict[str, Any]) -> int | None:
    meta = entry.get("meta")
    known = [entry.get(key) for key in _WINDOW_KEYS]
    known += [meta.get("n_ctx")] if isinstance(meta, dict) else []
    return next((n for n in known if isinstance(n, int) and n > 0), None)


def window_of_props(props: object) -> int | None:
    """The window of each slot of llama-server, from ``GET /props``."""
    settings = props.get("default_generation_settings") if isinstance(props, dict) else None
    number = settings.get("n_ctx") if isinstance(settings, dict) else None
    return number if isinstance(number, int) and number > 0 else None

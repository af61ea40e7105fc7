"""Dialects: features of kinds of servers beyond OpenAI's API, found by their answers. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.generation import RawPrompt, Sampling

_OPENAI = {"temperature", "top_p", "frequency_penalty", "presence_penalty", "seed", "logit_bias"}
_OFF = {
    "top_k": 0,
    "min_p": 0,
    "typical_p": 1,
    "xtc_probability": 0,
    "repeat_penalty": 1,
    "dry_multiplier": 0,
    "mirostat": 0,
}
_SWITCHES = {
    "xtc_threshold": "xtc_probability",
    "dry_base": "dry_multiplier",
    "dry_allowed_length": "dry_multiplier",
    "dry_penalty_last_n": "dry_multiplier",
    "dry_sequence_breakers": "dry_multiplier",
    "mirostat_tau": "mirostat",
    "mirostat_eta": "mirostat",
}
"""Field of ``Sampling`` -> the one without which it has no effect."""

_LLAMA_SERVER = {name: name for name in (*_OFF, *_SWITCHES, "repeat_last_n")}
_LLAMA_CPP = {
    **{name: name for name in ("top_k", "min_p", "repeat_penalty", "mirostat_tau", "mirostat_eta")},
    "mirostat": "mirostat_mode",
}
_VLLM = {"top_k": "top_k", "min_p": "min_p", "repeat_penalty": "repetition_penalty"}
_WINDOW_KEYS = ("max_model_len", "context_window", "context_length", "max_context_length")


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """How a kind of server counts the tokens of a text; ``path`` replaces ``/v1``.

    ``shows`` has the path and the keys with which it gives the tokens themselves, ``joins`` the
    path that makes a text of them, and the key of that.
    """

    path: str
    ask: Callable[[str, str], dict[str, Any]]
    read: Callable[[dict[str, Any]], object]
    shows: tuple[str, Callable[[RawPrompt], dict[str, Any]]]
    joins: tuple[str, str]

    def num_tokens(self, answer: object) -> int | None:
        found = self.read(answer) if isinstance(answer, dict) else None
        return found if isinstance(found, int) and not isinstance(found, bool) else None


@dataclass(frozen=True, slots=True)
class Dialect:
    """A kind of server. ``samplers``: field of ``Sampling`` -> the server's name for it.

    ``biases_texts``: ``logit_bias`` is llama.cpp's list, whose tokens may be texts.
    ``continues``: the keys with which it continues the last message; None: it cannot.
    ``repeats_begun``: its answer begins with the message that it continues. ``off``: what switches
    a field off there, where that is another value than in ``Sampling``. ``refuses``: keys of
    OpenAI's API that it does not take, whatever their value. ``lists_all`` False: it has models
    that it does not list. ``fills``: it minds the ``suffix`` of a raw prompt. ``salts_cache``: it
    takes ``cache_salt``, and reuses what it evaluated only for others with the same one.
    """

    name: str = "OpenAI"
    tokenizer: Tokenizer | None = None
    samplers: Mapping[str, str] = field(default_factory=dict)
    biases_texts: bool = False
    continues: Mapping[str, bool] | None = None
    off: Mapping[str, float] = field(default_factory=dict)
    refuses: frozenset[str] = frozenset()
    lists_all: bool = True
    fills: bool = True
    repeats_begun: bool = False
    salts_cache: bool = False

    def values(self, sampling: Sampling) -> dict[str, object]:
        """Under the server's names, the fields of ``sampling`` that OpenAI's API has not."""
        return {name: self._value(sampling, field) for field, name in self.samplers.items()}

    def _value(self, sampling: Sampling, field: str) -> object:
        value: object = getattr(sampling, field)
        return self.off.get(field, value) if value == _OFF.get(field) else value

    def lacks(self, sampling: Sampling, name: str) -> bool:
        """Whether this field of ``sampling`` has an effect that the server does not know."""
        if name == "logit_bias" and not self.biases_texts:
            return any(isinstance(token, str) for token, _ in sampling.logit_bias)
        switch = _SWITCHES.get(name, name)
        is_off = getattr(sampling, switch) == _OFF.get(switch)
        return not is_off and name not in self.samplers and name not in _OPENAI - self.refuses


def tokens_in(answer: object) -> list[int] | None:
    found = answer.get("tokens") if isinstance(answer, dict) else None
    is_list = isinstance(found, list) and all(type(token) is int for token in found)
    return found if is_list else None


def _length(answer: dict[str, Any]) -> object:
    tokens = answer.get("tokens")
    return len(tokens) if isinstance(tokens, list) and "count" not in answer else None


PLAIN = Dialect()
TRANSFORMERS = Dialect(
    "transformers serve",
    refuses=frozenset(
        {
            *("frequency_penalty", "presence_penalty", "logprobs", "top_logprobs"),
            *("parallel_tool_calls", "response_format", "stream_options", "tool_choice"),
        }
    ),
    lists_all=False,
    fills=False,
)
"""It refuses these keys, or ignores them, by its version; ``frequency_penalty`` it takes for one
of repetitions. It lists the models on its disk, and answers with any other.

Its own ``generation_config`` replaces that of the model, whose end of a turn may then be lost.
"""

_UNEXPECTED = re.compile(r"Unexpected (?:fields|keys) in the request: ")
DIALECTS = (
    Dialect(
        "vLLM",
        Tokenizer(
            "/tokenize",
            lambda m, t: {"model": m, "prompt": t},
            lambda a: a.get("count"),
            ("/tokenize", lambda p: {"prompt": p.content, "add_special_tokens": p.adds_special}),
            ("/detokenize", "prompt"),
        ),
        _VLLM,
        continues={"continue_final_message": True, "add_generation_prompt": False},
        off={"top_k": -1},  # some versions refuse 0
        fills=False,
        salts_cache=True,
    ),
    Dialect(
        "llama-server",
        Tokenizer(
            "/tokenize",
            lambda _, t: {"content": t},
            _length,
            (
                "/tokenize",
                lambda p: {
                    "content": p.content,
                    "add_special": p.adds_special,
                    "parse_special": p.parses_special,
                },
            ),
            ("/detokenize", "content"),
        ),
        _LLAMA_SERVER,
        biases_texts=True,
        continues={},  # it continues any last message of the assistant
        repeats_begun=True,
        fills=False,
    ),
    Dialect(
        "llama-cpp-python",
        Tokenizer(
            "/extras/tokenize/count",
            lambda _, t: {"input": t},
            lambda a: a.get("count"),
            ("/extras/tokenize", lambda p: {"input": p.content}),
            ("/extras/detokenize", "text"),
        ),
        _LLAMA_CPP,
    ),
)


def question_for_nobody(model: str) -> dict[str, Any]:
    """A question without messages, so that none answers it, with a key that no server has."""
    return {"model": model, "messages": [], "max_tokens": 1, "parley_asks_who_is_there": True}


def dialect_of_refusal(sentence: str) -> Dialect:
    """Of a server that has no tokenizer, by its refusal of ``question_for_nobody``."""
    return TRANSFORMERS if _UNEXPECTED.match(sentence) else PLAIN


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

"""Keys that Parley does not have: refused by name, unless their value asks for nothing.

An answer that ignored such a key would be wrong, and nobody would know why.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters.http.common.errors import InvalidBody

_MAX_SHOWN = 64

WITHOUT_EFFECT = frozenset(
    {
        *("metadata", "store", "safety_identifier", "parallel_tool_calls"),
        *("prompt_cache_key", "prompt_cache_options", "prompt_cache_retention"),
        *("cache_prompt", "id_slot", "keep_alive", "priority", "request_id", "rid"),
    }
)
"""Keys that change nothing of an answer, whatever their value."""

NEUTRAL: Mapping[str, tuple[object, ...]] = {
    # OpenAI's
    "audio": (),
    "background": (False,),
    "function_call": ("none", "auto"),
    "functions": (),
    "modalities": (["text"],),
    "prediction": (),
    "reasoning": ({"effort": "none"}, {"enabled": False}),
    "reasoning_effort": ("none",),
    "tool_choice": ("none", "auto"),
    "tools": (),
    "verbosity": ("medium",),
    "web_search_options": (),
    # of the older completions, vLLM, SGLang, llama-server and others
    "add_special_tokens": (False,),
    "bad_words": (),
    "best_of": (1,),
    "chat_template": (),
    "chat_template_kwargs": (),
    "do_sample": (True,),
    "dynatemp_range": (0,),
    "ebnf": (),
    "echo": (False,),
    "enable_thinking": (False,),
    "ignore_eos": (False,),
    "include_stop_str_in_output": (False,),
    "length_penalty": (1,),
    "logits_processor": (),
    "min_new_tokens": (0,),
    "min_tokens": (0,),
    "n_probs": (0,),
    "no_stop_trim": (False,),
    "num_beams": (1,),
    "regex": (),
    "return_token_ids": (False,),
    "return_tokens": (False,),
    "safe_prompt": (False,),
    "skip_special_tokens": (True,),
    "spaces_between_special_tokens": (True,),
    "stop_token_ids": (),
    "suffix": (),
    "tfs_z": (1,),
    "thinking": ({"type": "disabled"},),
    "timings_per_token": (False,),
    "top_n_sigma": (0, -1),
    "use_beam_search": (False,),
}
"""Keys with the values that ask for nothing; see also ``is_empty``."""

_NEUTRAL_IN_MESSAGE: Mapping[str, tuple[object, ...]] = {
    "audio": (),
    "images": (),
    "partial": (False,),
    "prefix": (False,),
}
_NEUTRAL_IN_TEXT: Mapping[str, tuple[object, ...]] = {"verbosity": ("medium",)}
_NEUTRAL_IN_STREAM_OPTIONS: Mapping[str, tuple[object, ...]] = {
    "continuous_usage_stats": (False,),
    "include_obfuscation": (False, True),  # padding against onlookers; TLS is not ours
}


def describe_in_body(schema: dict[str, Any]) -> None:
    """Add these keys to the JSON schema of a body: no others are taken."""
    without_effect: dict[str, Any] = {key: {} for key in sorted(WITHOUT_EFFECT)}
    neutral = {key: {"enum": [None, *values]} for key, values in NEUTRAL.items()}
    schema["properties"] = {**without_effect, **neutral, **schema["properties"]}
    schema["additionalProperties"] = False


def is_empty(value: object) -> bool:
    """Whether a value says nothing, as clients send it for what their user has not set."""
    return value is None or (isinstance(value, str | list | dict) and not value)


def unless_empty(value: object) -> object:
    return None if is_empty(value) else value


def refuse_in_body(extra: Mapping[str, object]) -> None:
    """Raise ``InvalidBody`` for the first key that Parley does not have, known or not."""
    for key, value in extra.items():
        if key not in WITHOUT_EFFECT:
            _refuse(key, value, NEUTRAL, "")


def refuse_in_stream_options(extra: Mapping[str, object]) -> None:
    for key, value in extra.items():
        _refuse(key, value, _NEUTRAL_IN_STREAM_OPTIONS, "stream_options.")


def refuse_in_text(extra: Mapping[str, object]) -> None:
    for key, value in extra.items():
        _refuse(key, value, _NEUTRAL_IN_TEXT, "text.")


def refuse_in_message(extra: Mapping[str, object], number: int) -> None:
    """Programs keep keys of their own beside what was said, so unknown ones are no request."""
    for key in extra.keys() & _NEUTRAL_IN_MESSAGE.keys():
        _refuse(key, extra[key], _NEUTRAL_IN_MESSAGE, f"messages[{number}].")


def _refuse(
    key: str, value: object, neutral: Mapping[str, tuple[object, ...]], prefix: str
) -> None:
    if is_empty(value) or _is_any(value, neutral.get(key, ())):
        return
    name = prefix + key[:_MAX_SHOWN]
    known = " with this value" if key in neutral else ""
    raise InvalidBody(
        f"{name} is not supported{known}; please leave it out.",
        param=name,
        code="unsupported_parameter",
    )


def _is_any(value: object, wanted: tuple[object, ...]) -> bool:
    """Equality of JSON values: 1 equals 1.0 but not true."""
    return any(
        value == other and isinstance(value, bool) == isinstance(other, bool) for other in wanted
    )

"""Keys that would change the answer and that Parley does not have.

They are refused by name, since an answer that quietly ignored them would be a wrong answer.
Beside each stand the values that ask for nothing; null is always one.
"""

from __future__ import annotations

from collections.abc import Mapping

from adapters.http.errors import InvalidBody

NEUTRAL: Mapping[str, tuple[object, ...]] = {
    # OpenAI's
    "audio": (),
    "function_call": ("none", "auto"),
    "functions": ([],),
    "logit_bias": ({},),
    "logprobs": (False,),
    "modalities": (["text"],),
    "n": (1,),
    "prediction": (),
    "reasoning_effort": ("none",),
    "tool_choice": ("none", "auto"),
    "tools": ([],),
    "top_logprobs": (0,),
    "verbosity": ("medium",),
    "web_search_options": (),
    # of the older completions, vLLM and llama-server
    "best_of": (1,),
    "chat_template": (),
    "chat_template_kwargs": ({},),
    "continue_final_message": (False,),
    "dry_multiplier": (0,),
    "echo": (False,),
    "grammar": ("",),
    "guided_choice": (),
    "guided_grammar": (),
    "guided_json": (),
    "guided_regex": (),
    "ignore_eos": (False,),
    "json_schema": ({},),
    "length_penalty": (1,),
    "min_p": (0,),
    "min_tokens": (0,),
    "mirostat": (0,),
    "repeat_penalty": (1,),
    "repetition_penalty": (1,),
    "stop_token_ids": ([],),
    "structured_outputs": (),
    "suffix": ("",),
    "thinking": (),
    "top_k": (0, -1),
    "typical_p": (1,),
    "use_beam_search": (False,),
    "xtc_probability": (0,),
}
_NEUTRAL_IN_MESSAGE: Mapping[str, tuple[object, ...]] = {
    "audio": (),
    "function_call": (),
    "tool_call_id": (),
    "tool_calls": ([],),
}


def refuse_in_body(extra: Mapping[str, object]) -> None:
    _refuse(extra, NEUTRAL, "")


def refuse_in_message(extra: Mapping[str, object], number: int) -> None:
    _refuse(extra, _NEUTRAL_IN_MESSAGE, f"messages[{number}].")


def _refuse(
    extra: Mapping[str, object], neutral: Mapping[str, tuple[object, ...]], prefix: str
) -> None:
    for key, value in extra.items():
        if key in neutral and value is not None and not _is_any(value, neutral[key]):
            raise InvalidBody(
                f"{prefix}{key} is not supported with this value; please leave it out.",
                param=f"{prefix}{key}",
                code="unsupported_parameter",
            )


def _is_any(value: object, wanted: tuple[object, ...]) -> bool:
    """Equal in JSON's eyes: 1 and 1.0 are, 1 and true are not."""
    return any(
        value == other and isinstance(value, bool) == isinstance(other, bool) for other in wanted
    )

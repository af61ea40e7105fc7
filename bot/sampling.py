"""The fields of ``bot.generation.Sampling`` as people write them, with their bounds."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, ValidationInfo
from pydantic_core import PydanticCustomError

from bot.generation import BANNED

_MAX_INT = 2**31 - 1
_MAX_BIASES = 1024
_MAX_BREAKERS = 8  # llama.cpp looks through the whole vocabulary for each
_MAX_BIAS = 100.0

Share = Annotated[float, Field(ge=0, le=1)]
Penalty = Annotated[float, Field(ge=-2, le=2)]
TopK = Annotated[int, Field(ge=-1, le=_MAX_INT), AfterValidator(lambda k: max(k, 0))]
"""Off is 0, or -1 as vLLM writes it."""
NumLast = Annotated[int, Field(ge=-1, le=_MAX_INT)]
RepeatPenalty = Annotated[float, Field(ge=0.01, le=2)]
Mirostat = Annotated[int, Field(ge=0, le=2)]
Breaker = Annotated[str, Field(min_length=1, max_length=40)]


def _biases(value: object, info: ValidationInfo) -> object:
    """OpenAI's map of tokens, or llama.cpp's list of pairs; ``false`` bans a token."""
    if value in (None, "", {}, []):
        return None
    pairs = list(value.items()) if isinstance(value, dict) else value
    if not isinstance(pairs, list | tuple) or not all(_is_pair(pair) for pair in pairs):
        raise _wrong("should be a map of tokens to biases, or a list of such pairs")
    if len(pairs) > _MAX_BIASES:
        raise _wrong(f"should have at most {_MAX_BIASES:,} tokens")
    is_strict = bool((info.config or {}).get("strict"))
    return tuple((_token(token), _bias(bias, is_strict=is_strict)) for token, bias in pairs)


def _is_pair(value: object) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2


def _token(token: object) -> int | str:
    if isinstance(token, str) and token.isascii() and token.isdigit():
        token = int(token) if len(token) <= len(str(_MAX_INT)) else -1
    if isinstance(token, str) and 0 < len(token) <= 512:
        return token
    if isinstance(token, int) and not isinstance(token, bool) and 0 <= token <= _MAX_INT:
        return token
    raise _wrong("should name each token by its number, or by its text")


def _bias(bias: object, *, is_strict: bool) -> float:
    """In a text file a number is text."""
    if bias is False:
        return BANNED
    if isinstance(bias, str) and not is_strict:
        try:
            bias = float(bias)
        except ValueError:
            bias = None
    if isinstance(bias, int | float) and bias is not True and abs(bias) <= _MAX_BIAS:
        return float(bias)
    raise _wrong("should have biases from -100 to 100, or false to ban a token")


def _wrong(problem: str) -> PydanticCustomError:
    return PydanticCustomError("logit_bias", "{problem}", {"problem": problem})


_AnyBias = float | Literal[False]
Biases = Annotated[
    tuple[tuple[int | str, float], ...] | None,
    BeforeValidator(
        _biases,
        json_schema_input_type=dict[str, _AnyBias] | list[tuple[int | str, _AnyBias]] | None,
    ),
]


class SamplingFields(BaseModel):
    """Missing fields keep the defaults of ``Sampling``."""

    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_k: TopK | None = None
    top_p: Share | None = None
    min_p: Share | None = None
    typical_p: Share | None = None
    xtc_probability: Share | None = None
    xtc_threshold: Share | None = None
    repeat_penalty: RepeatPenalty | None = None
    repeat_last_n: NumLast | None = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    dry_multiplier: Annotated[float, Field(ge=0, le=5)] | None = None
    dry_base: Annotated[float, Field(ge=1, le=100)] | None = None
    dry_allowed_length: Annotated[int, Field(ge=0, le=_MAX_INT)] | None = None
    dry_penalty_last_n: NumLast | None = None
    dry_sequence_breakers: (
        Annotated[tuple[Breaker, ...], Field(max_length=_MAX_BREAKERS)] | None
    ) = None
    mirostat: Mirostat | None = None
    mirostat_tau: Annotated[float, Field(ge=0, le=20)] | None = None
    mirostat_eta: Share | None = None
    logit_bias: Biases = None
    seed: Annotated[int, Field(ge=0, lt=2**32 - 1)] | None = None

    def chosen(self) -> dict[str, Any]:
        """The fields that are set, as ``Sampling`` takes them."""
        values = ((name, getattr(self, name)) for name in SamplingFields.model_fields)
        return {name: value for name, value in values if value is not None}

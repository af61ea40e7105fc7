"""The body of a request to a server, and the chunks of its streamed reply. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from bot.generation import BANNED, FinishReason, GenerationRequest, Sampling, TokenLogprob
from bot.inference.remote.dialects import Dialect
from bot.inference.remote.faults import ErrorBody, Fault, refusal
from bot.inference.remote.formats import response_format
from bot.inference.remote.tools import CallChunk, message_keys, read_calls, tool_keys

DONE = b"[DONE]"
_SERVER_ERROR = 500

_THOUGHTS = ("reasoning_content", "reasoning")
"""Servers that separate reasoning use one of these keys, or both for the same text."""

_REASONS: Mapping[str, FinishReason] = {
    **dict.fromkeys(("stop", "eos", "eos_token", "end_turn"), FinishReason.STOP),
    **dict.fromkeys(("stop_sequence", "stop_token", "tool_calls"), FinishReason.STOP),
    "function_call": FinishReason.STOP,
    **dict.fromkeys(("length", "max_tokens", "max_length", "model_length"), FinishReason.LENGTH),
}
_FILTERED = ("content_filter", "safety", "sensitive")
_WITHHELD = "The model's server withholds the rest of this answer."


class _Token(BaseModel):
    token: str
    logprob: float
    bytes: list[Annotated[int, Field(ge=0, le=255)]] | None = None
    top_logprobs: list[_Token] | None = None

    def as_logprob(self) -> TokenLogprob:
        piece = _bytes(self.token) if self.bytes is None else bytes(self.bytes)
        likeliest = tuple(token.as_logprob() for token in self.top_logprobs or ())
        return TokenLogprob(piece, self.logprob, likeliest)


class _Logprobs(BaseModel):
    """``content``, or the lists of the older API."""

    content: list[_Token] | None = None
    tokens: list[str] = []
    token_logprobs: list[float] = []
    top_logprobs: list[dict[str, float]] | None = None

    def all(self) -> tuple[TokenLogprob, ...]:
        if self.content is not None:
            return tuple(token.as_logprob() for token in self.content)
        likeliest = self.top_logprobs or [{}] * len(self.tokens)
        return tuple(
            TokenLogprob(_bytes(token), logprob, tuple(map(_as_logprob, others.items())))
            for token, logprob, others in zip(
                self.tokens, self.token_logprobs, likeliest, strict=False
            )
        )


def _as_logprob(named: tuple[str, float]) -> TokenLogprob:
    return TokenLogprob(_bytes(named[0]), named[1])


def _bytes(token: str) -> bytes:
    return token.encode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class ReportedUsage:
    """What a server has counted; None: it does not say."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class StreamChunk:
    """A chunk of the reply; most have text only. ``fault``: the reply ends with it, after this."""

    text: str = ""
    thought: str = ""
    reason: FinishReason | None = None
    fault: Fault | None = None
    usage: ReportedUsage | None = None
    logprobs: tuple[TokenLogprob, ...] = ()
    calls: tuple[CallChunk, ...] = ()

    @property
    def num_characters(self) -> int:
        in_calls = sum(len(call.name) + len(call.arguments) for call in self.calls)
        return len(self.text) + len(self.thought) + in_calls


def read_whole(data: bytes) -> StreamChunk:
    """The answer of a server that does not stream. Raises as ``read_chunk`` does."""
    found = read_chunk(data, "message")
    if not (found.reason or found.fault):
        raise Fault("malformed")
    return found


def read_chunk(data: bytes, key: str = "delta") -> StreamChunk:
    """What carries nothing is an empty chunk; surrogates may stand alone, cut from their pair.

    Raises ``Fault`` or ``ContextExceeded``, since a stream may contain an error.
    """
    event = _object(_parsed(data))
    if error := _error(event):
        raise refusal(_SERVER_ERROR, ErrorBody.of(error))
    choice = _choice(event.get("choices"))
    delta = _object(choice.get(key))
    content, thoughts = _split(delta.get("content"))
    reason, fault = _end(choice.get("finish_reason"))
    return StreamChunk(
        text=content + _text(delta.get("refusal")) + _text(choice.get("text")),
        thought=thoughts or next(filter(None, (_text(delta.get(key)) for key in _THOUGHTS)), ""),
        reason=reason,
        fault=fault,
        usage=_usage(event.get("usage") or choice.get("usage")),
        logprobs=_logprobs(choice.get("logprobs")),
        calls=tuple(read_calls(delta)),
    )


def _parsed(data: bytes) -> object:
    try:
        return json.loads(data) if data.strip() else None
    except (ValueError, RecursionError):
        is_error = data.startswith(b'{"error":')  # some do not escape what went wrong
        raise Fault("failed" if is_error else "malformed") from None


def _object(found: object) -> dict[str, Any]:
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise Fault("malformed")
    return found


def _error(event: dict[str, Any]) -> object:
    """An error under its own key, or in place of a chunk."""
    if "choices" in event or "usage" in event:
        return event.get("error")
    return event.get("error") or (event if event.get("message") or event.get("detail") else None)


def _choice(choices: object) -> dict[str, Any]:
    if choices is not None and not isinstance(choices, list):
        raise Fault("malformed")
    return _object(choices[0]) if choices else {}


def _text(found: object) -> str:
    if found is not None and not isinstance(found, str):
        raise Fault("malformed")
    return found or ""


def _split(content: object) -> tuple[str, str]:
    """Text and reasoning of a content, which may be a list of parts of both kinds."""
    if not isinstance(content, list):
        return _text(content), ""
    parts = [_object(part) for part in content]
    thoughts = (_split(part["thinking"])[0] for part in parts if "thinking" in part)
    return "".join(_text(part.get("text")) for part in parts), "".join(thoughts)


def _end(name: object) -> tuple[FinishReason | None, Fault | None]:
    """A reason that nobody knows is taken for a failure, and never for a good end."""
    if not name:
        return None, None
    known = str(name).lower()
    if known in _FILTERED:
        return None, Fault("refused", _WITHHELD)
    reason = _REASONS.get(known)
    return reason, None if reason else Fault("failed")


def _logprobs(found: object) -> tuple[TokenLogprob, ...]:
    """Without those that are none, as ``_usage``."""
    try:
        return _Logprobs.model_validate(found or {}).all()
    except ValidationError:
        return ()


def _usage(found: object) -> ReportedUsage | None:
    """Counts are nice to have: what is none of them is left out."""
    if not isinstance(found, dict):
        return None
    prompt, reply = _count(found, "prompt_tokens"), _count(found, "completion_tokens")
    if prompt is None and reply is None:
        return None
    cached = _count(found.get("prompt_tokens_details"), "cached_tokens")
    reasoning = _count(found.get("completion_tokens_details"), "reasoning_tokens")
    return ReportedUsage(prompt, reply, cached, reasoning)


def _count(found: object, key: str) -> int | None:
    number = found.get(key) if isinstance(found, dict) else None
    is_count = isinstance(number, int) and not isinstance(number, bool) and number >= 0
    return number if is_count else None


def body_of(request: GenerationRequest, model: str, dialect: Dialect) -> dict[str, Any]:
    sampling = request.sampling
    body: dict[str, Any] = {
        "model": model,
        **_prompt(request),
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": request.max_tokens,
        "temperature": 0 if sampling.is_greedy else sampling.temperature,
        "top_p": sampling.top_p,
        **dialect.values(sampling),
        **_unless_neutral(request, dialect),
        **response_format(request.answer_format),
        **tool_keys(request.tool_use),
        **((request.continues and dialect.continues) or {}),
    }
    body |= {"stop": list(request.stop)} if request.stop else {}
    return {name: value for name, value in body.items() if name not in dialect.refuses}


def path_of(body: Mapping[str, Any]) -> str:
    return "/completions" if "prompt" in body else "/chat/completions"


def _prompt(request: GenerationRequest) -> dict[str, Any]:
    raw = request.raw
    if raw is None:
        return {"messages": message_keys(request.messages)}
    content = raw.content if isinstance(raw.content, str) else list(raw.content)
    return {"prompt": content, **({} if raw.suffix is None else {"suffix": raw.suffix})}


def _num_logprobs(request: GenerationRequest) -> dict[str, Any]:
    """The older API has one number for what are two keys in the newer one."""
    if request.raw is not None:
        return {"logprobs": request.num_logprobs}
    asks = None if request.num_logprobs is None else True
    return {"logprobs": asks, "top_logprobs": request.num_logprobs or None}


def _unless_neutral(request: GenerationRequest, dialect: Dialect) -> dict[str, Any]:
    """Some servers refuse a key whatever its value, so neutral values are not sent."""
    sampling = request.sampling
    optional = {
        "seed": sampling.seed,
        "frequency_penalty": sampling.frequency_penalty or None,
        "presence_penalty": sampling.presence_penalty or None,
        "logit_bias": _biases(sampling, dialect) or None,
        **_num_logprobs(request),
    }
    return {name: value for name, value in optional.items() if value is not None}


def _biases(sampling: Sampling, dialect: Dialect) -> object:
    """OpenAI's map, or llama.cpp's list; OpenAI's way to ban a token is the least bias."""
    if dialect.biases_texts:
        return [[t, False if bias == BANNED else bias] for t, bias in sampling.logit_bias]
    ids = ((t, max(bias, -100.0)) for t, bias in sampling.logit_bias if isinstance(t, int))
    return {str(token): bias for token, bias in ids}

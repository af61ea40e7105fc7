"""The body of a request to a server, and the chunks of its streamed reply. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from bot.inference.remote.dialects import Dialect
from bot.inference.remote.faults import ErrorBody, Fault, refusal
from bot.inference.remote.formats import response_format
from bot.types import BANNED, FinishReason, GenerationRequest, Sampling, TokenLogprob, Usage

DONE = b"[DONE]"
_SERVER_ERROR = 500


class _Delta(BaseModel):
    """Servers that separate reasoning use this key; others leave its tags in the text."""

    content: str | None = None
    reasoning_content: str | None = None


class _Token(BaseModel):
    token: str
    logprob: float
    bytes: list[Annotated[int, Field(ge=0, le=255)]] | None = None
    top_logprobs: list[_Token] = []

    def as_logprob(self) -> TokenLogprob:
        piece = self.token.encode("utf-8", "replace") if self.bytes is None else bytes(self.bytes)
        likeliest = tuple(token.as_logprob() for token in self.top_logprobs)
        return TokenLogprob(piece, self.logprob, likeliest)


class _Logprobs(BaseModel):
    content: list[_Token] | None = None


class _Choice(BaseModel):
    delta: _Delta | None = None
    logprobs: _Logprobs | None = None
    finish_reason: str | None = None


class _Cached(BaseModel):
    cached_tokens: int | None = None


class _Usage(BaseModel):
    prompt_tokens: int = Field(default=0, ge=0)
    completion_tokens: int = Field(default=0, ge=0)
    prompt_tokens_details: _Cached | None = None


class _Event(BaseModel):
    choices: list[_Choice] = []
    usage: _Usage | None = None
    error: Any = None


@dataclass(frozen=True, slots=True)
class StreamChunk:
    """A chunk of the reply; most have text only."""

    text: str = ""
    thought: str = ""
    reason: FinishReason | None = None
    usage: Usage | None = None
    logprobs: tuple[TokenLogprob, ...] = ()

    @property
    def num_characters(self) -> int:
        return len(self.text) + len(self.thought)


def read_chunk(data: bytes) -> StreamChunk:
    """Raises ``Fault`` or ``ContextExceeded``, since a stream may contain an error."""
    try:
        event = _Event.model_validate_json(data)
    except ValidationError:
        raise Fault("malformed") from None
    if event.error:
        raise refusal(_SERVER_ERROR, ErrorBody.of(event.error))
    usage = _usage(event.usage) if event.usage else None
    if not event.choices:
        return StreamChunk(usage=usage)
    choice = event.choices[0]
    delta, logprobs = choice.delta or _Delta(), choice.logprobs or _Logprobs()
    return StreamChunk(
        text=delta.content or "",
        thought=delta.reasoning_content or "",
        reason=_reason(choice.finish_reason),
        usage=usage,
        logprobs=tuple(token.as_logprob() for token in logprobs.content or ()),
    )


def _reason(name: str | None) -> FinishReason | None:
    if not name:
        return None
    return FinishReason.LENGTH if name == "length" else FinishReason.STOP


def _usage(usage: _Usage) -> Usage:
    details = usage.prompt_tokens_details
    cached = min((details and details.cached_tokens) or 0, usage.prompt_tokens)
    return Usage(usage.prompt_tokens, max(0, cached), usage.completion_tokens)


def body_of(request: GenerationRequest, model: str, dialect: Dialect) -> dict[str, Any]:
    sampling = request.sampling
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": m.role, "content": m.content} for m in request.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": request.max_tokens,
        "temperature": 0 if sampling.is_greedy else sampling.temperature,
        "top_p": sampling.top_p,
        **{name: getattr(sampling, field) for field, name in dialect.samplers.items()},
        **_unless_neutral(request, dialect),
        **response_format(request.answer_format),
    }
    return body | ({"stop": list(request.stop)} if request.stop else {})


def _unless_neutral(request: GenerationRequest, dialect: Dialect) -> dict[str, Any]:
    """Some servers refuse a key whatever its value, so neutral values are not sent."""
    sampling = request.sampling
    optional = {
        "seed": sampling.seed,
        "frequency_penalty": sampling.frequency_penalty or None,
        "presence_penalty": sampling.presence_penalty or None,
        "logit_bias": _biases(sampling, dialect) or None,
        "logprobs": None if request.num_logprobs is None else True,
        "top_logprobs": request.num_logprobs or None,
    }
    return {name: value for name, value in optional.items() if value is not None}


def _biases(sampling: Sampling, dialect: Dialect) -> object:
    """OpenAI's map, or llama.cpp's list; OpenAI's way to ban a token is the least bias."""
    if dialect.biases_texts:
        return [[t, False if bias == BANNED else bias] for t, bias in sampling.logit_bias]
    ids = ((t, max(bias, -100.0)) for t, bias in sampling.logit_bias if isinstance(t, int))
    return {str(token): bias for token, bias in ids}

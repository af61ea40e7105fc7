"""OpenAI's response objects."""

from __future__ import annotations

import json
from dataclasses import dataclass

from bot.types import FinishReason, TokenLogprob, Usage

_FINISH_REASONS = {
    FinishReason.STOP: "stop",
    FinishReason.LENGTH: "length",
    FinishReason.LOOPED: "length",  # cut short: the program must not take it for complete
    FinishReason.CANCELLED: "stop",
    FinishReason.ERROR: "error",
}
DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True)
class Envelope:
    """The fields that every object of one reply has; ``created`` in seconds since 1970."""

    id: str
    created: int
    model: str

    def fields(self, kind: str) -> dict[str, object]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


@dataclass(frozen=True, slots=True)
class GeneratedText:
    """Text and reasoning of a reply; the API calls the latter ``reasoning_content``."""

    text: str = ""
    reasoning: str = ""
    logprobs: tuple[TokenLogprob, ...] = ()

    @property
    def logprobs_object(self) -> dict[str, object] | None:
        if not self.logprobs:
            return None
        return {"content": [_with_likeliest(each) for each in self.logprobs], "refusal": None}


def _with_likeliest(token: TokenLogprob) -> dict[str, object]:
    return {**_logprob(token), "top_logprobs": [_logprob(each) for each in token.likeliest]}


def _logprob(token: TokenLogprob) -> dict[str, object]:
    """The bytes are those of the token, of which ``token`` may show only half a character."""
    text = token.piece.decode("utf-8", "replace")
    return {"token": text, "logprob": token.logprob, "bytes": list(token.piece)}


def completion(
    envelope: Envelope, said: GeneratedText, reason: FinishReason, usage: Usage
) -> dict[str, object]:
    message = {"role": "assistant", "content": said.text, "refusal": None}
    if said.reasoning:
        message["reasoning_content"] = said.reasoning
    choice = {
        "index": 0,
        "message": message,
        "logprobs": said.logprobs_object,
        "finish_reason": _FINISH_REASONS[reason],
    }
    fields = envelope.fields("chat.completion")
    return {**fields, "choices": [choice], "usage": usage_object(usage)}


def usage_object(usage: Usage) -> dict[str, object]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def event(data: object) -> bytes:
    return f"data: {json.dumps(data)}\n\n".encode()


def comment(text: str) -> bytes:
    """A comment keeps the connection open; clients skip it."""
    return f": {text}\n\n".encode()


class Chunks:
    """The events of one streamed reply.

    The JSON around the text is the same in every chunk, so it is written out once; a token
    then costs one ``json.dumps`` of its text.
    """

    def __init__(self, envelope: Envelope, *, include_usage: bool) -> None:
        self._fields = envelope.fields("chat.completion.chunk")
        self._null_usage = {"usage": None} if include_usage else {}
        self._include_usage = include_usage
        whole = self._chunk({"content": "\0"}, None)
        head, _, tail = whole.partition(rb'"\u0000"')
        self._head, self._tail = head.decode(), tail.decode()
        self._has_begun = False

    def delta(self, said: GeneratedText) -> bytes:
        """Reasoning and text in chunks of their own: no parser expects both in one."""
        data = b""
        if said.reasoning:
            data = self._chunk({**self._role(), "reasoning_content": said.reasoning}, None)
        if said.text:
            data += self._text(said.text, said.logprobs_object)
        return data

    def _text(self, text: str, logprobs: object) -> bytes:
        if logprobs or not self._has_begun:
            return self._chunk({**self._role(), "content": text}, None, logprobs)
        return f"{self._head}{json.dumps(text)}{self._tail}".encode()

    def end(self, reason: FinishReason, usage: Usage) -> bytes:
        last = self._chunk(self._role(), _FINISH_REASONS[reason])
        if self._include_usage:
            last += event({**self._fields, "choices": [], "usage": usage_object(usage)})
        return last + DONE

    def _role(self) -> dict[str, str]:
        """The role, in the first chunk only."""
        if self._has_begun:
            return {}
        self._has_begun = True
        return {"role": "assistant"}

    def _chunk(self, delta: dict[str, str], reason: str | None, logprobs: object = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": reason}
        return event({**self._fields, "choices": [choice], **self._null_usage})

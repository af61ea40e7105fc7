"""OpenAI's response objects."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter

from adapters.http.common.answers import GeneratedText, WholeAnswer
from bot.types import FinishReason, TokenLogprob, Usage, total_usage

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


def _logprobs(said: GeneratedText) -> dict[str, object] | None:
    if not said.logprobs:
        return None
    return {"content": [logprob_object(each) for each in said.logprobs], "refusal": None}


def logprob_object(token: TokenLogprob) -> dict[str, object]:
    return {**_logprob(token), "top_logprobs": [_logprob(each) for each in token.likeliest]}


def _logprob(token: TokenLogprob) -> dict[str, object]:
    """The bytes are those of the token, of which ``token`` may show only half a character."""
    text = token.piece.decode("utf-8", "replace")
    return {"token": text, "logprob": token.logprob, "bytes": list(token.piece)}


def completion(envelope: Envelope, answers: Sequence[WholeAnswer]) -> dict[str, object]:
    choices = [_choice(index, answer) for index, answer in enumerate(answers)]
    usage = usage_object(total_usage([answer.usage for answer in answers]))
    return {**envelope.fields("chat.completion"), "choices": choices, "usage": usage}


def _choice(index: int, answer: WholeAnswer) -> dict[str, object]:
    said = answer.said
    message = {"role": "assistant", "content": said.text, "refusal": None}
    if said.reasoning:
        message["reasoning_content"] = said.reasoning
    return {
        "index": index,
        "message": message,
        "logprobs": _logprobs(said),
        "finish_reason": _FINISH_REASONS[answer.reason],
    }


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
    """The events of one streamed reply with ``num`` answers.

    The JSON around the text is the same in every chunk of an answer, so it is written out once;
    a token then costs one ``json.dumps`` of its text.
    """

    def __init__(self, envelope: Envelope, num: int = 1, *, include_usage: bool) -> None:
        self._fields = envelope.fields("chat.completion.chunk")
        self._null_usage = {"usage": None} if include_usage else {}
        self._include_usage = include_usage
        self.num = num
        self._frames: dict[int, tuple[str, str]] = {}
        self._usages: dict[int, Usage] = {}

    def delta(self, index: int, said: GeneratedText) -> bytes:
        """Reasoning and text in chunks of their own: no parser expects both in one."""
        data = b""
        if said.reasoning:
            delta = {**self._role(index), "reasoning_content": said.reasoning}
            data = self._chunk(index, delta, None)
        if said.text:
            data += self._text(index, said.text, _logprobs(said))
        return data

    def _text(self, index: int, text: str, logprobs: object) -> bytes:
        if logprobs or index not in self._frames:
            return self._chunk(index, {**self._role(index), "content": text}, None, logprobs)
        head, tail = self._frames[index]
        return f"{head}{json.dumps(text)}{tail}".encode()

    def end(self, index: int, reason: FinishReason, usage: Usage) -> bytes:
        """The last chunk of one answer."""
        self._usages[index] = usage
        return self._chunk(index, self._role(index), _FINISH_REASONS[reason])

    @property
    def have_ended(self) -> bool:
        return len(self._usages) == self.num

    def close(self) -> bytes:
        """What follows when all answers have ended."""
        if not self._include_usage:
            return DONE
        usages = [usage for _, usage in sorted(self._usages.items(), key=itemgetter(0))]
        usage = usage_object(total_usage(usages))
        return event({**self._fields, "choices": [], "usage": usage}) + DONE

    def _role(self, index: int) -> dict[str, str]:
        """The role, in the first chunk of an answer only."""
        if index in self._frames:
            return {}
        whole = self._chunk(index, {"content": "\0"}, None)
        head, _, tail = whole.partition(rb'"\u0000"')
        self._frames[index] = head.decode(), tail.decode()
        return {"role": "assistant"}

    def _chunk(
        self, index: int, delta: dict[str, str], reason: str | None, logprobs: object = None
    ) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": reason}
        return event({**self._fields, "choices": [choice], **self._null_usage})

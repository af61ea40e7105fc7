"""OpenAI's response objects."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter

from adapters.http.common.answers import GeneratedText, WholeAnswer
from adapters.http.openai import tool_calls
from bot.generation import FinishReason, TokenLogprob, ToolCallDelta, Usage, total_usage

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
    """The fields that every object of one reply has; ``created`` in seconds since 1970.

    ``has_older_calls``: its calls of tools have their older form.
    """

    id: str
    created: int
    model: str
    has_older_calls: bool = False

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
    is_older = envelope.has_older_calls
    choices = [_choice(n, answer, is_older=is_older) for n, answer in enumerate(answers)]
    usage = usage_object(total_usage([answer.usage for answer in answers]))
    return {**envelope.fields("chat.completion"), "choices": choices, "usage": usage}


def _choice(index: int, answer: WholeAnswer, *, is_older: bool) -> dict[str, object]:
    said = answer.said
    message: dict[str, object] = {"role": "assistant", "content": said.text, "refusal": None}
    if said.reasoning:
        message["reasoning_content"] = said.reasoning
    if said.calls:
        message["content"] = said.text or None
        message |= tool_calls.in_message(said.calls, is_older=is_older)
    has_called = bool(said.calls)
    return {
        "index": index,
        "message": message,
        "logprobs": _logprobs(said),
        "finish_reason": _reason(answer.reason, has_called=has_called, is_older=is_older),
    }


def _reason(reason: FinishReason, *, has_called: bool, is_older: bool) -> str:
    """A call that was cut short is not to be made."""
    if has_called and reason is FinishReason.STOP:
        return tool_calls.reason(is_older=is_older)
    return _FINISH_REASONS[reason]


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
    return f": {' '.join(text.split())}\n\n".encode()


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
        self._is_older = envelope.has_older_calls
        self._callers: set[int] = set()
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
        for call in said.calls:
            data += self._call(index, call)
        return data

    def _call(self, index: int, call: ToolCallDelta) -> bytes:
        """A call begins with its name in a chunk of its own, as OpenAI's do."""
        self._callers.add(index)
        pieces = [replace(call, arguments=""), replace(call, id="", name="")]
        return b"".join(
            self._chunk(
                index,
                {**self._no_text(index), **tool_calls.in_delta(piece, is_older=self._is_older)},
                None,
            )
            for piece in pieces
            if piece.name or piece.arguments
        )

    def _no_text(self, index: int) -> dict[str, str | None]:
        """The role and an empty content, in the first chunk of an answer only."""
        role = self._role(index)
        return {**role, "content": None} if role else {}

    def _text(self, index: int, text: str, logprobs: object) -> bytes:
        if logprobs or index not in self._frames:
            return self._chunk(index, {**self._role(index), "content": text}, None, logprobs)
        head, tail = self._frames[index]
        return f"{head}{json.dumps(text)}{tail}".encode()

    def end(self, index: int, reason: FinishReason, usage: Usage) -> bytes:
        """The last chunk of one answer."""
        self._usages[index] = usage
        has_called = index in self._callers
        ended = _reason(reason, has_called=has_called, is_older=self._is_older)
        return self._chunk(index, self._role(index), ended)

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
        self, index: int, delta: Mapping[str, object], reason: str | None, logprobs: object = None
    ) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": reason}
        return event({**self._fields, "choices": [choice], **self._null_usage})

"""The objects and events of the Responses API."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from adapters.http.common.answers import GeneratedText, WholeAnswer
from adapters.http.openai.responses_body import ResponsesBody
from adapters.http.openai.shapes import logprob_object
from bot.types import FinishReason, TokenLogprob, Usage

Status = Literal["in_progress", "completed", "incomplete", "failed"]
ItemKind = Literal["message", "reasoning"]
Json = dict[str, Any]
Event = tuple[str, Json]
"""The name of an event and its fields."""

_PREFIXES: Mapping[ItemKind, str] = {"message": "msg", "reasoning": "rs"}
_PARTS: Mapping[ItemKind, str] = {"message": "output_text", "reasoning": "reasoning_text"}
_CUT = (FinishReason.LENGTH, FinishReason.LOOPED)
_ERROR_CODES = ("rate_limit_exceeded",)
"""Parley's codes that are OpenAI's; any other is a ``server_error``."""


@dataclass(frozen=True, slots=True)
class Response:
    """What all objects of one response share. ``created_at``: seconds since 1970."""

    id: str
    created_at: int
    model: str
    asked: ResponsesBody

    def in_state(self, status: Status, output: Sequence[Json], **known: Any) -> Json:
        asked = self.asked
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.created_at,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": None,
            "instructions": asked.instructions,
            "max_output_tokens": asked.max_output_tokens,
            "metadata": asked.metadata or {},
            "model": self.model,
            "output": list(output),
            "parallel_tool_calls": True,
            "previous_response_id": None,
            "reasoning": {"effort": None, "summary": None},
            "safety_identifier": asked.safety_identifier,
            "store": False,
            "temperature": asked.temperature,
            "text": {"format": _format(asked)},
            "tool_choice": "auto",
            "tools": [],
            "top_logprobs": asked.top_logprobs or 0,
            "top_p": asked.top_p,
            "truncation": asked.truncation or "disabled",
            "usage": None,
            "user": asked.user,
            **known,
        }


def _format(asked: ResponsesBody) -> Json:
    form = asked.text.format if asked.text else None
    return form.model_dump(by_alias=True, exclude_none=True) if form else {"type": "text"}


def usage_of_response(usage: Usage) -> Json:
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }


class TextItem:
    """A message or what was thought before it, while it grows. ``index`` counts the items."""

    def __init__(self, kind: ItemKind, index: int = 0) -> None:
        self.kind = kind
        self._index = index
        self._id = f"{_PREFIXES[kind]}_{secrets.token_hex(12)}"
        self._part = _PARTS[kind]
        self._text = ""
        self._logprobs: list[TokenLogprob] = []

    def opened(self) -> list[Event]:
        return [
            ("response.output_item.added", {**self._where, "item": self._object("in_progress")}),
            ("response.content_part.added", {**self._place, "part": self._as_part()}),
        ]

    def add(self, text: str, logprobs: Sequence[TokenLogprob] = ()) -> Event:
        self._text += text
        self._logprobs.extend(logprobs)
        delta = {**self._place, "delta": text, **self._with_logprobs(logprobs)}
        return f"response.{self._part}.delta", delta

    def closed(self, status: Status) -> list[Event]:
        done = {**self._place, "text": self._text, **self._with_logprobs(self._logprobs)}
        return [
            (f"response.{self._part}.done", done),
            ("response.content_part.done", {**self._place, "part": self._as_part()}),
            ("response.output_item.done", {**self._where, "item": self.as_object(status)}),
        ]

    def as_object(self, status: Status) -> Json:
        return self._object(status, self._as_part())

    @property
    def _where(self) -> Json:
        return {"output_index": self._index}

    @property
    def _place(self) -> Json:
        return {"item_id": self._id, **self._where, "content_index": 0}

    def _object(self, status: Status, *content: Json) -> Json:
        own: Json = {"role": "assistant"} if self.kind == "message" else {"summary": []}
        item = {"id": self._id, "type": self.kind, "status": status}
        return {**item, **own, "content": list(content)}

    def _as_part(self) -> Json:
        own: Json = {"annotations": []} if self.kind == "message" else {}
        return {
            "type": self._part,
            "text": self._text,
            **own,
            **self._with_logprobs(self._logprobs),
        }

    def _with_logprobs(self, logprobs: Sequence[TokenLogprob]) -> Json:
        if self.kind == "reasoning":
            return {}
        return {"logprobs": [logprob_object(each) for each in logprobs]}


def whole_response(response: Response, answer: WholeAnswer) -> Json:
    status = _status(answer.reason)
    items = _items(answer.said)
    return response.in_state(
        status,
        [item.as_object(status) for item in items],
        **_ending(answer.reason, answer.usage),
    )


def _items(said: GeneratedText) -> list[TextItem]:
    """A message at least, if only an empty one, unless the model was cut while it thought."""
    items = []
    if said.reasoning:
        items.append(TextItem("reasoning"))
        items[-1].add(said.reasoning)
    if said.text or not items:
        items.append(TextItem("message"))
        items[-1].add(said.text, said.logprobs)
    return items


def _status(reason: FinishReason) -> Status:
    return "incomplete" if reason in _CUT else "completed"


def _ending(reason: FinishReason, usage: Usage) -> Json:
    why = {"reason": "max_output_tokens"} if reason in _CUT else None
    return {"incomplete_details": why, "usage": usage_of_response(usage)}


class ResponseEvents:
    """The events of one streamed response, numbered from 0."""

    def __init__(self, response: Response) -> None:
        self._response = response
        self._items: list[TextItem] = []
        self._done: list[Json] = []
        self._number = 0

    def begin(self) -> bytes:
        state = self._response.in_state("in_progress", [])
        return self._written(
            [(f"response.{name}", {"response": state}) for name in ("created", "in_progress")]
        )

    def delta(self, said: GeneratedText) -> bytes:
        events: list[Event] = []
        if said.reasoning:
            item = self._open("reasoning", events)
            events.append(item.add(said.reasoning))
        if said.text:
            item = self._open("message", events)
            events.append(item.add(said.text, said.logprobs))
        return self._written(events)

    def end(self, reason: FinishReason, usage: Usage) -> bytes:
        status = _status(reason)
        events: list[Event] = []
        if not self._items:
            self._open("message", events)
        events += self._close(status)
        whole = self._response.in_state(status, self._done, **_ending(reason, usage))
        return self._written([*events, (f"response.{status}", {"response": whole})])

    def fail(self, error: Mapping[str, str | None]) -> bytes:
        """``error``: what the body of a refusal would have said."""
        code = error["code"] if error["code"] in _ERROR_CODES else "server_error"
        events = self._close("incomplete")
        known = {"error": {"code": code, "message": error["message"]}}
        failed = self._response.in_state("failed", self._done, **known)
        return self._written([*events, ("response.failed", {"response": failed})])

    def _open(self, kind: ItemKind, events: list[Event]) -> TextItem:
        """The item that grows, of this kind; ``events`` get what it takes to come to it."""
        if not self._items or self._items[-1].kind != kind:
            events += self._close("completed")
            self._items.append(TextItem(kind, len(self._items)))
            events += self._items[-1].opened()
        return self._items[-1]

    def _close(self, status: Status) -> list[Event]:
        if len(self._done) == len(self._items):
            return []
        last = self._items[-1]
        self._done.append(last.as_object(status))
        return last.closed(status)

    def _written(self, events: Sequence[Event]) -> bytes:
        return b"".join(self._frame(name, fields) for name, fields in events)

    def _frame(self, name: str, fields: Json) -> bytes:
        data = json.dumps({"type": name, "sequence_number": self._number, **fields})
        self._number += 1
        return f"event: {name}\ndata: {data}\n\n".encode()

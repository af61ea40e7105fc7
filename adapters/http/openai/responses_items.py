"""The items of a response while they grow: what was thought, said and called."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from adapters.http.common.answers import GeneratedText
from adapters.http.openai.shapes import logprob_object
from bot.generation import TokenLogprob, ToolCallDelta

Status = Literal["in_progress", "completed", "incomplete", "failed"]
TextKind = Literal["message", "reasoning"]
Json = dict[str, Any]
Event = tuple[str, Json]
"""The name of an event and its fields."""

_PREFIXES: Mapping[TextKind, str] = {"message": "msg", "reasoning": "rs"}
_PARTS: Mapping[TextKind, str] = {"message": "output_text", "reasoning": "reasoning_text"}


class TextItem:
    """A message or what was thought before it, while it grows. ``index`` counts the items."""

    def __init__(self, kind: TextKind, index: int = 0) -> None:
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


class CallItem:
    """A call of a tool; its first piece has its name and id. ``index`` counts the items."""

    def __init__(self, call: ToolCallDelta, index: int = 0) -> None:
        self.number = call.index
        self._call = call
        self._index = index
        self._id = f"fc_{secrets.token_hex(12)}"
        self._arguments = ""

    def opened(self) -> list[Event]:
        return [
            ("response.output_item.added", {**self._where, "item": self.as_object("in_progress")})
        ]

    def add(self, arguments: str) -> Event:
        self._arguments += arguments
        return "response.function_call_arguments.delta", {**self._place, "delta": arguments}

    def closed(self, status: Status) -> list[Event]:
        whole = {**self._place, "name": self._call.name, "arguments": self._arguments}
        return [
            ("response.function_call_arguments.done", whole),
            ("response.output_item.done", {**self._where, "item": self.as_object(status)}),
        ]

    def as_object(self, status: Status) -> Json:
        return {
            "id": self._id,
            "type": "function_call",
            "status": status,
            "call_id": self._call.id,
            "name": self._call.name,
            "arguments": self._arguments,
        }

    @property
    def _where(self) -> Json:
        return {"output_index": self._index}

    @property
    def _place(self) -> Json:
        return {"item_id": self._id, **self._where}


class Output:
    """The items of one response in their order: each is done before the next begins."""

    def __init__(self) -> None:
        self.done: list[Json] = []
        self._growing: TextItem | CallItem | None = None

    def add(self, said: GeneratedText) -> list[Event]:
        events: list[Event] = []
        if said.reasoning:
            events.append(self._text("reasoning", events).add(said.reasoning))
        if said.text:
            events.append(self._text("message", events).add(said.text, said.logprobs))
        for call in said.calls:
            item = self._call(call, events)
            if call.arguments:
                events.append(item.add(call.arguments))
        return events

    def end(self, status: Status) -> list[Event]:
        """There is a message at least, if only an empty one."""
        events: list[Event] = []
        if self._growing is None:
            self._text("message", events)
        return events + self.close(status)

    def close(self, status: Status) -> list[Event]:
        if self._growing is None:
            return []
        self.done.append(self._growing.as_object(status))
        return self._growing.closed(status)

    def _text(self, kind: TextKind, events: list[Event]) -> TextItem:
        """That of this kind which grows; ``events`` get what it takes to come to it."""
        item = self._growing
        if not isinstance(item, TextItem) or item.kind != kind:
            events += self.close("completed")
            item = TextItem(kind, len(self.done))
            events += item.opened()
        self._growing = item
        return item

    def _call(self, call: ToolCallDelta, events: list[Event]) -> CallItem:
        item = self._growing
        if not isinstance(item, CallItem) or item.number != call.index:
            events += self.close("completed")
            item = CallItem(call, len(self.done))
            events += item.opened()
        self._growing = item
        return item

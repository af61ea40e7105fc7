"""The messages of a request: who said what, with the calls of tools and their results."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    JsonValue,
)
from pydantic_core import CoreSchema, PydanticCustomError

from adapters.http.common.errors import InvalidBody
from adapters.http.openai.other_keys import refuse_in_message
from bot.generation import ChatMessage, Role, ToolCall

_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_MAX_NAME = 512
_MAX_SHOWN = 64
_OLDER = "call_function"
"""The id of every call in the older form of tools, which has none."""
_ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}


def _without_control(text: str) -> str:
    found = _CONTROL.search(text)
    if found is not None:
        raise PydanticCustomError(
            "control_character",
            "contains the control character U+{code} at position {position}",
            {"code": f"{ord(found[0]):04X}", "position": found.start()},
        )
    return text


def _text_of_part(part: object, number: int) -> str:
    match part:
        case {"type": "text", "text": str(text)} | {"type": "refusal", "refusal": str(text)}:
            return text
        case {"type": str(kind)} if kind not in ("text", "refusal"):
            shown = kind[:_MAX_SHOWN]
            problem = f"part {number} is of type {shown!r}; only text is understood"
        case _:
            problem = f'part {number} is not of the form {{"type": "text", "text": "…"}}'
    raise PydanticCustomError("content_part", "{problem}", {"problem": problem})


def joined(content: object) -> object:
    if not isinstance(content, list):
        return content
    return "\n".join(_text_of_part(part, number) for number, part in enumerate(content))


class _WithoutControl:
    """Says in a JSON schema what ``_without_control`` checks."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(schema), "pattern": r"^[^\u0000-\u0008\u000e-\u001f\u007f]*$"}


Text = Annotated[str, AfterValidator(_without_control), _WithoutControl()]
Name = Annotated[
    str, Field(max_length=_MAX_NAME), AfterValidator(_without_control), _WithoutControl()
]


class StrictBody(BaseModel):
    """Keeps unknown keys, so that those which would change the answer can be refused."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)


class CalledFunction(StrictBody):
    """``arguments``: JSON as text, as models write it, or as an object."""

    name: Name
    arguments: JsonValue = ""

    def as_call(self, number: str) -> ToolCall:
        return ToolCall(number, self.name, _as_json(self.arguments))


class MadeToolCall(StrictBody):
    id: Name
    type: Literal["function"] = "function"
    function: CalledFunction


class TextPart(StrictBody):
    """Only described: a content may be a list of these."""

    type: Literal["text"]
    text: Text


class MessageBody(StrictBody):
    """``function_call`` and the role ``function`` are the older form of tools."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Annotated[
        Text | None,
        BeforeValidator(joined, json_schema_input_type=str | list[TextPart] | None),
    ] = None
    refusal: Text | None = None
    tool_calls: list[MadeToolCall] | None = None
    function_call: CalledFunction | None = None
    tool_call_id: Name | None = None

    @property
    def calls(self) -> list[ToolCall]:
        made = [call.function.as_call(call.id) for call in self.tool_calls or ()]
        return [*made, *([self.function_call.as_call(_OLDER)] if self.function_call else [])]

    def as_message(self) -> ChatMessage:
        said = self.content if self.content is not None else self.refusal or ""
        call_id = self.tool_call_id or (_OLDER if self.role == "function" else "")
        return ChatMessage(_ROLES[self.role], said, calls=tuple(self.calls), call_id=call_id)


def chat_messages(messages: Sequence[MessageBody]) -> tuple[ChatMessage, ...]:
    _check(messages)
    return tuple(message.as_message() for message in messages)


def _check(messages: Sequence[MessageBody]) -> None:
    """Raise ``InvalidBody`` for what a message may not have, or lacks; ``param`` names it."""
    asked: set[str] = set()
    for number, message in enumerate(messages):
        refuse_in_message(message.model_extra or {}, number)
        if problem := _problem(message, asked):
            key, why = problem
            name = f"messages[{number}].{key}"
            raise InvalidBody(f"{name}: {why}.", param=name)
        asked.update(call.id for call in message.tool_calls or ())


def _problem(message: MessageBody, asked: set[str]) -> tuple[str, str] | None:
    """The key that is wrong, and why."""
    if message.role != "assistant":
        if message.calls:
            key = "tool_calls" if message.tool_calls else "function_call"
            return key, f"only the assistant calls tools, not the role {message.role!r}"
        if message.content is None:
            return "content", f"a message of the role {message.role!r} needs text"
    elif message.content is None and message.refusal is None and not message.calls:
        return "content", "a message of the assistant needs text or tool_calls"
    if message.role == "tool" and message.tool_call_id not in asked:
        return "tool_call_id", "a result needs the id of a call in an earlier message's tool_calls"
    return None


def _as_json(arguments: JsonValue) -> str:
    """JSON stays as the model wrote it; what is none becomes a JSON string."""
    if not isinstance(arguments, str):
        return json.dumps(arguments, ensure_ascii=False)
    try:
        json.loads(arguments or "{}")
    except (ValueError, RecursionError):
        return json.dumps(arguments, ensure_ascii=False)
    return arguments.strip() or "{}"

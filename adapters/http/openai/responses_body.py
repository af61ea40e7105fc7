"""The body of POST /v1/responses: the same requests as those of the chat in another form."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from adapters.http.common.errors import InvalidBody
from adapters.http.openai.answer_formats import FlatFormat
from adapters.http.openai.body import FLEX, TokenLimit
from adapters.http.openai.messages import (
    CalledFunction,
    MadeToolCall,
    MessageBody,
    Name,
    StrictBody,
    Text,
    chat_messages,
    joined,
)
from adapters.http.openai.other_keys import (
    describe_in_body,
    is_empty,
    refuse_in_body,
    refuse_in_stream_options,
    refuse_in_text,
)
from adapters.http.openai.reading import read_as
from adapters.http.openai.responses_tools import ResponsesToolKeys
from bot.answer_formats import AnswerFormat
from bot.generation import ChatMessage
from bot.sampling import SamplingFields

_MAX_ITEMS = 4096
_MAX_SHOWN = 64
_PART_NAMES = ("input_text", "output_text")
_LOGPROBS: Literal["message.output_text.logprobs"] = "message.output_text.logprobs"
_IN_STORE = ("previous_response_id", "conversation", "prompt")


def _as_in_chats(content: object) -> object:
    if not isinstance(content, list):
        return content
    return [
        {**part, "type": "text"}
        if isinstance(part, dict) and part.get("type") in _PART_NAMES
        else part
        for part in content
    ]


class ResponsePart(StrictBody):
    """Only described."""

    type: Literal["input_text", "output_text"]
    text: Text


Content = Annotated[
    Text,
    BeforeValidator(joined),
    BeforeValidator(_as_in_chats, json_schema_input_type=str | list[ResponsePart]),
]


class InputMessage(StrictBody):
    type: Literal["message"] = "message"
    role: Literal["user", "assistant", "system", "developer"]
    content: Content


class FunctionCallItem(StrictBody):
    type: Literal["function_call"]
    call_id: Name
    name: Name
    arguments: Text = ""

    def as_call(self) -> MadeToolCall:
        function = CalledFunction(name=self.name, arguments=self.arguments)
        return MadeToolCall(id=self.call_id, function=function)


class FunctionOutputItem(StrictBody):
    type: Literal["function_call_output"]
    call_id: Name
    output: Content


class ReasoningItem(StrictBody):
    """What the model thought before an earlier answer; it stays out of the prompt."""

    type: Literal["reasoning"]


def _kind(item: object) -> object:
    return item.get("type", "message") if isinstance(item, dict) else getattr(item, "type", None)


_KINDS = ("message", "function_call", "function_call_output", "reasoning")


def _understood(item: object) -> object:
    """Raises ``PydanticCustomError``, with the kind of an item that Parley does not know."""
    kind = _kind(item)
    if not isinstance(kind, str):
        raise PydanticCustomError("item", "is no item")
    if kind == "item_reference":
        raise PydanticCustomError("item", "refers to what is not stored; please send it whole")
    if kind not in _KINDS:
        problem = f"is of the type {kind[:_MAX_SHOWN]!r}, which is not understood"
        raise PydanticCustomError("item", "{problem}", {"problem": problem})
    return item


InputItem = Annotated[
    Annotated[InputMessage, Tag("message")]
    | Annotated[FunctionCallItem, Tag("function_call")]
    | Annotated[FunctionOutputItem, Tag("function_call_output")]
    | Annotated[ReasoningItem, Tag("reasoning")],
    Discriminator(_kind),
    BeforeValidator(_understood),
]


def _as_items(given: object) -> object:
    return [{"role": "user", "content": given}] if isinstance(given, str) else given


class TextConfig(StrictBody):
    format: FlatFormat | None = None


class ResponsesBody(SamplingFields, ResponsesToolKeys):
    """OpenAI's keys that a chat needs, and those of other servers for sampling."""

    model_config = ConfigDict(json_schema_extra=describe_in_body)

    input: Annotated[
        list[InputItem],
        Field(min_length=1, max_length=_MAX_ITEMS, examples=["Hello!"]),
        BeforeValidator(_as_items, json_schema_input_type=str | list[InputItem]),
    ]
    model: Name | None = None
    instructions: Text | None = None
    max_output_tokens: TokenLimit | None = None
    stream: bool | None = None
    stream_options: StrictBody | None = None
    text: TextConfig | None = None
    include: list[Literal["message.output_text.logprobs", "reasoning.encrypted_content"]] | None = (
        None
    )
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    metadata: Annotated[dict[Name, Text], Field(max_length=16)] | None = None
    user: Name | None = None
    safety_identifier: Name | None = None
    truncation: Literal["auto", "disabled"] | None = None
    cache_salt: Name | None = None
    service_tier: str | None = None

    @property
    def is_background(self) -> bool:
        return self.service_tier == FLEX

    @property
    def chat_messages(self) -> tuple[ChatMessage, ...]:
        told = self.instructions
        first = [MessageBody(role="system", content=told)] if told else []
        if not (rest := _as_messages(self.input)):
            raise InvalidBody("input: there is nothing to answer.", param="input")
        return chat_messages([*first, *rest])

    @property
    def answer_format(self) -> AnswerFormat | None:
        form = self.text.format if self.text else None
        return form.as_answer_format() if form else None

    @property
    def num_logprobs(self) -> int | None:
        wants_them = _LOGPROBS in (self.include or ()) or self.top_logprobs
        return (self.top_logprobs or 0) if wants_them else None

    @property
    def person(self) -> str | None:
        return self.user or self.safety_identifier


def _as_messages(items: list[InputItem]) -> list[MessageBody]:
    """Calls belong to the message of the assistant before them, results to calls before them."""
    messages: list[MessageBody] = []
    asked: set[str] = set()
    for number, item in enumerate(items):
        match item:
            case InputMessage():
                messages.append(MessageBody(role=item.role, content=item.content))
            case FunctionCallItem():
                if not messages or messages[-1].role != "assistant":
                    messages.append(MessageBody(role="assistant", tool_calls=[]))
                last = messages[-1]
                last.tool_calls = [*(last.tool_calls or ()), item.as_call()]
                asked.add(item.call_id)
            case FunctionOutputItem():
                _check_asked(item.call_id, asked, f"input[{number}].call_id")
                call_id, output = item.call_id, item.output
                messages.append(MessageBody(role="tool", content=output, tool_call_id=call_id))
    return messages


def _check_asked(call_id: str, asked: set[str], name: str) -> None:
    if call_id not in asked:
        raise InvalidBody(
            f"{name}: a result needs the call_id of an earlier function_call.", param=name
        )


def parse_responses(raw: bytes) -> ResponsesBody:
    """Raises ``InvalidBody``, which names the first wrong key."""
    body = read_as(ResponsesBody, raw)
    extra = dict(body.model_extra or {})
    _refuse_what_is_stored(extra)
    if isinstance(reasoning := extra.get("reasoning"), dict):
        extra["reasoning"] = {key: value for key, value in reasoning.items() if value is not None}
    refuse_in_body(extra)
    refuse_in_stream_options((body.stream_options and body.stream_options.model_extra) or {})
    refuse_in_text((body.text and body.text.model_extra) or {})
    return body


def _refuse_what_is_stored(extra: dict[str, Any]) -> None:
    for name in _IN_STORE:
        if not is_empty(extra.pop(name, None)):
            raise InvalidBody(
                f"{name} is not supported, since Parley stores nothing of an answer; "
                "please send the whole conversation in input.",
                param=name,
                code="unsupported_parameter",
            )

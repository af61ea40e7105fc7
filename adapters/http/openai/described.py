"""The answers of OpenAI's API as ``/openapi.json`` describes them, and its operations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, Field, JsonValue

from adapters.http.common.errors import ErrorAnswer
from adapters.http.common.openapi import EVENTS, JSON, AnswerBody, Operation
from adapters.http.openai.answer_formats import FlatFormat
from adapters.http.openai.body import ChatBody
from adapters.http.openai.messages import StrictBody
from adapters.http.openai.responses_body import ResponsesBody
from adapters.http.openai.responses_tools import FlatTool


class TokenObject(AnswerBody):
    token: str
    logprob: float
    bytes: list[int]


class LikeliestTokens(TokenObject):
    top_logprobs: list[TokenObject]


class LogprobsObject(AnswerBody):
    content: list[LikeliestTokens]
    refusal: None


class FunctionObject(AnswerBody):
    name: str
    arguments: str


class ToolCallObject(AnswerBody):
    id: str
    type: Literal["function"]
    function: FunctionObject


class AnswerMessage(AnswerBody):
    """``reasoning_content`` only where the model has thought first; calls only where it calls."""

    role: Literal["assistant"]
    content: str | None
    refusal: None
    reasoning_content: str = ""
    tool_calls: list[ToolCallObject] = []  # noqa: RUF012 - pydantic copies it
    function_call: FunctionObject | None = None


class AnswerChoice(AnswerBody):
    index: int
    message: AnswerMessage
    logprobs: LogprobsObject | None
    finish_reason: Literal["stop", "length", "tool_calls", "function_call"]


class PromptTokens(AnswerBody):
    cached_tokens: int


class CompletionTokens(AnswerBody):
    reasoning_tokens: int


class UsageObject(AnswerBody):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokens
    completion_tokens_details: CompletionTokens


class ChatCompletionObject(AnswerBody):
    """``created``: seconds since 1970."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[AnswerChoice]
    usage: UsageObject


class FunctionDelta(AnswerBody):
    """The name comes first, the arguments grow."""

    name: str = ""
    arguments: str = ""


class ToolCallDeltaObject(AnswerBody):
    index: int
    id: str = ""
    type: Literal["function"] = "function"
    function: FunctionDelta


class ChunkDelta(AnswerBody):
    role: Literal["assistant"] = "assistant"
    content: str | None = None
    reasoning_content: str = ""
    tool_calls: list[ToolCallDeltaObject] = []  # noqa: RUF012 - pydantic copies it
    function_call: FunctionDelta | None = None


class ChunkChoice(AnswerBody):
    index: int
    delta: ChunkDelta
    logprobs: LogprobsObject | None
    finish_reason: Literal["stop", "length", "tool_calls", "function_call"] | None


class ChatChunkObject(AnswerBody):
    """``usage`` is null but in the last chunk of a stream that includes it."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: UsageObject | None = None


CHAT_EVENT = ChatChunkObject | ErrorAnswer


class ModelObject(AnswerBody):
    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelListObject(AnswerBody):
    object: Literal["list"]
    data: list[ModelObject]


class OutputTextObject(AnswerBody):
    type: Literal["output_text"]
    text: str
    annotations: list[None]
    logprobs: list[LikeliestTokens]


class ReasoningTextObject(AnswerBody):
    type: Literal["reasoning_text"]
    text: str


class OutputMessageObject(AnswerBody):
    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    status: Literal["completed", "incomplete"]
    content: list[OutputTextObject]


class ReasoningObject(AnswerBody):
    """What the model has thought before its answer."""

    id: str
    type: Literal["reasoning"]
    status: Literal["completed", "incomplete"]
    summary: list[None]
    content: list[ReasoningTextObject]


class FunctionCallObject(AnswerBody):
    """A call that the program is asked to make; its result is a ``function_call_output``."""

    id: str
    type: Literal["function_call"]
    status: Literal["completed", "incomplete"]
    call_id: str
    name: str
    arguments: str


class InputTokens(AnswerBody):
    cached_tokens: int
    cache_write_tokens: int


class ResponseUsageObject(AnswerBody):
    input_tokens: int
    input_tokens_details: InputTokens
    output_tokens: int
    output_tokens_details: CompletionTokens
    total_tokens: int


class TextConfigObject(AnswerBody):
    format: FlatFormat


class ReasoningConfigObject(AnswerBody):
    effort: None
    summary: None


class IncompleteObject(AnswerBody):
    reason: Literal["max_output_tokens"]


class ResponseObject(AnswerBody):
    """Nothing of it is stored. ``created_at``: seconds since 1970."""

    id: str
    object: Literal["response"]
    created_at: int
    status: Literal["completed", "incomplete"]
    background: Literal[False]
    error: None
    incomplete_details: IncompleteObject | None
    instructions: str | None
    max_output_tokens: int | None
    metadata: dict[str, str]
    model: str
    output: list[OutputMessageObject | ReasoningObject | FunctionCallObject]
    parallel_tool_calls: bool
    previous_response_id: None
    reasoning: ReasoningConfigObject
    safety_identifier: str | None
    store: Literal[False]
    temperature: float | None
    text: TextConfigObject
    tool_choice: JsonValue
    tools: list[FlatTool]
    top_logprobs: int
    top_p: float | None
    truncation: Literal["auto", "disabled"]
    usage: ResponseUsageObject
    user: str | None


class ResponseEventObject(BaseModel):
    """An event of OpenAI's, with further fields by its type."""

    type: str
    sequence_number: int


class ThreadHeader(StrictBody):
    thread: Annotated[str | None, Field(alias="X-Parley-Thread", max_length=256)] = None


OPERATIONS: Sequence[Operation] = (
    Operation(
        method="post",
        path="/v1/chat/completions",
        summary="Answer a chat",
        headers=ThreadHeader,
        body={JSON: ChatBody},
        answer={JSON: ChatCompletionObject, EVENTS: CHAT_EVENT},
    ),
    Operation(
        method="post",
        path="/v1/responses",
        summary="Answer a chat, in the form of the Responses API",
        headers=ThreadHeader,
        body={JSON: ResponsesBody},
        answer={JSON: ResponseObject, EVENTS: ResponseEventObject},
    ),
    Operation(
        method="get",
        path="/v1/models",
        summary="The names that may be asked for",
        answer={JSON: ModelListObject},
    ),
    Operation(
        method="get",
        path="/v1/models/{model}",
        summary="One of them",
        answer={JSON: ModelObject},
    ),
)

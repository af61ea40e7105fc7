"""The answers of OpenAI's API as ``/openapi.json`` describes them, and its operations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from adapters.http.common.openapi import EVENTS, JSON, AnswerBody, Operation
from adapters.http.openai.body import ChatBody
from adapters.http.openai.messages import StrictBody


class TokenObject(AnswerBody):
    token: str
    logprob: float
    bytes: list[int]


class LikeliestTokens(TokenObject):
    top_logprobs: list[TokenObject]


class LogprobsObject(AnswerBody):
    content: list[LikeliestTokens]
    refusal: None


class AnswerMessage(AnswerBody):
    """``reasoning_content`` only where the model has thought first."""

    role: Literal["assistant"]
    content: str | None
    refusal: None
    reasoning_content: str = ""


class AnswerChoice(AnswerBody):
    index: int
    message: AnswerMessage
    logprobs: LogprobsObject | None
    finish_reason: Literal["stop", "length", "tool_calls"]


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


class ModelObject(AnswerBody):
    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelListObject(AnswerBody):
    object: Literal["list"]
    data: list[ModelObject]


class ThreadHeader(StrictBody):
    thread: Annotated[str | None, Field(alias="X-Parley-Thread", max_length=256)] = None


OPERATIONS: Sequence[Operation] = (
    Operation(
        method="post",
        path="/v1/chat/completions",
        summary="Answer a chat",
        headers=ThreadHeader,
        body={JSON: ChatBody},
        answer={JSON: ChatCompletionObject, EVENTS: str},
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

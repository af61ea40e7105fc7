"""The operations of Geniusrise's API as ``/openapi.json`` describes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel

from adapters.http.common.openapi import EVENTS, JSON, AnswerBody, Operation
from adapters.http.geniusrise.requests import PromptBody
from adapters.http.openai.described import CHAT_EVENT, ChatCompletionObject
from adapters.http.openai.described_texts import TEXT_EVENT, TextCompletionObject


class RuntimeBody(BaseModel):
    """Any key of ``/v1/chat/completions``; numbers may be texts, and unknown keys are ignored."""

    messages: list[dict[str, Any]] = []


class RawRuntimeBody(RuntimeBody):
    """Without messages, any key of ``/v1/completions``."""

    prompt: str | list[str] | list[int] | None = None
    suffix: str | None = None
    echo: bool | None = None


class PromptAnswer(AnswerBody):
    user_prompt: str
    system_prompt: str | None
    result: str


class PromptCompletion(ChatCompletionObject, PromptAnswer):
    """To whoever sends ``prompt``."""


class ExceptionAnswer(AnswerBody):
    error: str


class FrameworkError(AnswerBody):
    """``status``: with its phrase, such as ``401 Unauthorized``."""

    status: str
    message: str


def _operations() -> Iterator[Operation]:
    error = {JSON: FrameworkError}
    yield Operation(
        method="post",
        path="/api/v1/chat",
        summary="Answer a question, as Geniusrise did",
        body={JSON: PromptBody},
        answer={JSON: PromptAnswer | PromptCompletion | ExceptionAnswer, EVENTS: CHAT_EVENT},
        error=error,
    )
    for name in ("chat_vllm", "completions"):
        yield Operation(
            method="post",
            path=f"/api/v1/{name}",
            summary="Answer a chat by the defaults of vLLM, as Geniusrise did",
            body={JSON: RuntimeBody},
            answer={JSON: ChatCompletionObject | ExceptionAnswer, EVENTS: CHAT_EVENT},
            error=error,
        )
    for name in ("chat_llama_cpp", "completion"):
        yield Operation(
            method="post",
            path=f"/api/v1/{name}",
            summary="Answer a chat, or continue a prompt, by the defaults of llama.cpp, as "
            "Geniusrise did",
            body={JSON: RawRuntimeBody},
            answer={
                JSON: ChatCompletionObject | TextCompletionObject | ExceptionAnswer,
                EVENTS: CHAT_EVENT | TEXT_EVENT,
            },
            error=error,
        )


OPERATIONS: Sequence[Operation] = tuple(_operations())

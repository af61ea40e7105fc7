"""The operations of csps-llm's interface as ``/openapi.json`` describes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel

from adapters.http.common.errors import ErrorAnswer
from adapters.http.common.openapi import JSON, TEXT, AnswerBody, Operation
from adapters.http.csps_llm.json_answers import Prompt, ToilBody
from adapters.http.csps_llm.missing import MISSING


class TextQuestion(BaseModel):
    """``POST`` takes both from a form, too."""

    prompt: Prompt
    session: str = ""


class SessionParameter(BaseModel):
    session: str = ""


class SentenceAnswer(AnswerBody):
    error: str


class ModelCardAnswer(AnswerBody):
    """``model``: its name, and what its file says about it."""

    personality: str
    title: str
    description: str
    language: str
    model: dict[str, Any]


class PlatformStats(AnswerBody):
    models: list[str]
    personalities: list[str]
    cpu_count: int | None
    load_average: list[float] | None


_SERVED = (
    Operation(
        method="get",
        path="/gpt-socket/{personality}",
        summary="Open a WebSocket: a frame in is a prompt, frames out are text and then <END key>",
        answer={TEXT: str},
        error={TEXT: str, JSON: ErrorAnswer},
        status=101,
    ),
    Operation(
        method="get",
        path="/gpt/{personality}",
        summary="Answer a prompt with text that grows",
        query=TextQuestion,
        answer={TEXT: str},
        error={TEXT: str},
    ),
    Operation(
        method="post",
        path="/gpt/{personality}",
        summary="Answer a prompt with text that grows",
        query=TextQuestion,
        answer={TEXT: str},
        error={TEXT: str},
    ),
    Operation(
        method="delete",
        path="/gpt/{personality}",
        summary="Forget a session",
        query=SessionParameter,
        answer={TEXT: str},
        error={TEXT: str},
    ),
    Operation(
        method="post",
        path="/toil/{personality}",
        summary="Do a piece of work and answer with JSON",
        query=SessionParameter,
        body={JSON: ToilBody},
        answer={JSON: Any},
        error={JSON: SentenceAnswer},
    ),
    Operation(
        method="get",
        path="/describe/{personality}",
        summary="Which model answers",
        answer={JSON: ModelCardAnswer},
        error={JSON: SentenceAnswer},
    ),
    Operation(
        method="get",
        path="/platform/stats",
        summary="What this machine does",
        answer={JSON: PlatformStats},
    ),
)


def _missing(method: Literal["get", "post"], path: str) -> Operation:
    return Operation(
        method=method,
        path=path,
        summary=MISSING[path],
        answer={TEXT: str},
        status=404,
        error={TEXT: str},
    )


_METHODS: tuple[Literal["get", "post"], ...] = ("get", "post")
OPERATIONS: Sequence[Operation] = (
    *_SERVED,
    *(_missing(method, path) for path in MISSING for method in _METHODS),
)

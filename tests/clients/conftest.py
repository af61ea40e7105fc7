"""A real server with a key, and replies behind it that depend on the question."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from adapters.http.routes import routes
from bot.clock import SystemClock
from bot.errors import PromptTooLong, QueueFull
from bot.generation import (
    CompletionRequest,
    Delta,
    Finished,
    FinishReason,
    GenerationEvent,
    ToolCallDelta,
    ToolUse,
)
from bot.metrics import Metrics
from bot.server import Server, ServerSettings
from tests.clients.environment import KEY
from tests.fakes.conversations import USAGE, FakeConversations, ScriptedGeneration
from tests.fakes.readiness import always

ADA = '{"name": "Ada", "age": 36}'
BERN = '{"city": "Bern"}'
END = Finished(FinishReason.STOP, USAGE)
FAILED = Finished(FinishReason.ERROR, detail="The engine failed under this reply.")
CUT = Finished(FinishReason.LENGTH, USAGE)


class Replies(FakeConversations):
    """A call where there are tools, Ada where a format is asked for, else the question.

    With the question comes the number of messages.
    """

    async def complete(self, request: CompletionRequest) -> ScriptedGeneration:
        self.script = _reply(request)
        return await super().complete(request)


def _reply(request: CompletionRequest) -> tuple[GenerationEvent, ...]:
    if request.prompts:
        return (Delta(" and so on"), END)
    last = request.messages[-1]
    match last.content:
        case "too long":
            raise PromptTooLong(9000, 4096)
        case "busy":
            raise QueueFull(retry_after=1.0)
        case "fail":
            return (FAILED,)
        case "Go on and on.":
            return (Delta(ADA[:9]), CUT)
    if request.tool_use and last.role != "tool":
        return _call(request.tool_use)
    if request.answer_format:
        return (*map(Delta, ADA), END)
    return (Delta(last.content), Delta(f" ({len(request.messages)})"), END)


def _call(use: ToolUse) -> tuple[GenerationEvent, ...]:
    """Of the first tool that may be called, with arguments that suit each of the programs."""
    name = min(use.callable)
    arguments = ADA if name == "Person" else BERN
    pieces = (ToolCallDelta(0, letter) for letter in arguments)
    return (ToolCallDelta(0, id="call_1", name=name), *pieces, END)


@pytest.fixture
def replies() -> Replies:
    return Replies()


@pytest.fixture
async def server(replies: Replies) -> AsyncIterator[Server]:
    settings = ServerSettings(port=0, api_keys={"program": KEY}, is_public=True)
    server = Server(settings, Metrics(), always())
    aliases = {"gpt-3.5-turbo": "default"}
    server.mount(
        routes(replies, model_names=lambda: ("smollm2",), aliases=aliases, clock=SystemClock())
    )
    async with server:
        yield server

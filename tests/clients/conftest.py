"""A real server with a key, and replies behind it that depend on the question."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from adapters.http.routes import routes
from bot.clock import SystemClock
from bot.errors import PromptTooLong, QueueFull
from bot.metrics import Metrics
from bot.server import Server, ServerSettings
from bot.types import CompletionRequest, Delta, Finished, FinishReason, GenerationEvent
from tests.clients.environment import KEY
from tests.fakes.conversations import USAGE, FakeConversations, ScriptedGeneration
from tests.fakes.readiness import always

ADA = '{"name": "Ada", "age": 36}'
END = Finished(FinishReason.STOP, USAGE)
FAILED = Finished(FinishReason.ERROR, detail="The engine failed under this reply.")
CUT = Finished(FinishReason.LENGTH, USAGE)


class Replies(FakeConversations):
    """Ada where a format is asked for, else the question, and how many messages came with it."""

    async def complete(self, request: CompletionRequest) -> ScriptedGeneration:
        self.script = _reply(request)
        return await super().complete(request)


def _reply(request: CompletionRequest) -> tuple[GenerationEvent, ...]:
    *_, question = (m.content for m in request.messages if m.role == "user")
    match question:
        case "too long":
            raise PromptTooLong(9000, 4096)
        case "busy":
            raise QueueFull(retry_after=1.0)
        case "fail":
            return (FAILED,)
        case "Go on and on.":
            return (Delta(ADA[:9]), CUT)
    if request.answer_format:
        return (*map(Delta, ADA), END)
    return (Delta(question), Delta(f" ({len(request.messages)})"), END)


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

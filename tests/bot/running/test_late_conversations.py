"""Before the model is loaded people and programs hear that it is loading."""

from __future__ import annotations

import pytest

from bot.errors import EngineFailed
from bot.generation import ChatMessage, CompletionRequest
from bot.running.supervision import LateConversations
from bot.types import Person
from tests.bot.talk import ADA
from tests.contracts.store import ask
from tests.fakes.conversations import PERSONALITIES, FakeConversations

HELLO = CompletionRequest(account="local", messages=(ChatMessage("user", "Hello?"),))


async def test_until_they_are_there_everybody_is_told_to_ask_again() -> None:
    late = LateConversations()
    assert late.personalities() == ()
    with pytest.raises(EngineFailed, match="still loading"):
        await late.complete(HELLO)
    with pytest.raises(EngineFailed, match="still loading"):
        await late.handle(ask("1"))
    with pytest.raises(EngineFailed, match="still loading"):
        await late.threads(ADA)


async def test_once_they_are_there_they_are_asked() -> None:
    late, real = LateConversations(), FakeConversations()
    late.arrive(real)
    assert late.personalities() == PERSONALITIES
    await late.complete(HELLO)
    assert real.requests == [HELLO]
    with pytest.raises(NotImplementedError):
        await late.handle(ask("1"))
    with pytest.raises(NotImplementedError):
        await late.threads(Person("a:b/c"))

"""The conversations before they are there: the server answers while the model loads."""

from __future__ import annotations

from bot.errors import EngineFailed
from bot.ports import Conversations, Generation
from bot.types import CompletionRequest, Incoming, Person, Personality, ThreadSummary

_LOADING = "The model is still loading. Please ask again in a minute."


class LateConversations:
    """``bot.ports.Conversations`` that begins to answer once ``arrive`` was called."""

    def __init__(self) -> None:
        self._real: Conversations | None = None

    def arrive(self, real: Conversations) -> None:
        self._real = real

    @property
    def _there(self) -> Conversations:
        if self._real is None:
            raise EngineFailed(_LOADING)
        return self._real

    async def handle(self, incoming: Incoming) -> None:
        await self._there.handle(incoming)

    async def complete(self, request: CompletionRequest) -> Generation:
        return await self._there.complete(request)

    def personalities(self) -> tuple[Personality, ...]:
        return self._real.personalities() if self._real else ()

    async def threads(self, person: Person) -> list[ThreadSummary]:
        return await self._there.threads(person)

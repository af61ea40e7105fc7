"""Keeps one adapter running, and stands for the conversations until the model is loaded."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bot.capabilities import Capabilities
from bot.errors import ParleyError, StillLoading
from bot.generation import CompletionRequest
from bot.ports import Adapter, Clock, Conversations, Generation, Handler, Tokenizes
from bot.stored import ThreadSummary
from bot.types import (
    AdapterState,
    Incoming,
    Person,
    Personality,
    Place,
    Session,
    SessionQuestion,
    Standing,
)

logger = logging.getLogger(__name__)

_FIRST_DELAY, _MAX_DELAY = 1.0, 300.0
_STEADY_SECONDS = 60.0
"""After a shorter connection the back-off goes on: platforms ban rapid reconnecting."""


class Supervisor:
    """Runs ``adapter`` until cancelled; after a failure it reconnects with back-off.

    ``settled`` is set after the first attempt to connect, successful or not. Nothing is
    delivered before ``go`` is set.
    """

    def __init__(self, adapter: Adapter, handler: Handler, clock: Clock) -> None:
        self.adapter = adapter
        self.settled = asyncio.Event()
        self.go = asyncio.Event()
        self._state = AdapterState(adapter.name, "starting")
        self._handler = handler
        self._clock = clock
        self._delay = _FIRST_DELAY

    @property
    def state(self) -> AdapterState:
        troubled = Capabilities.of(self.adapter).troubled
        if self._state.status != "up" or troubled is None:
            return self._state
        return replace(self._state, detail=troubled.trouble)

    async def run(self) -> None:
        while True:
            try:
                await self._serve()
                self._report_down("the line was closed")
            except ParleyError as error:
                self._report_down(str(error))
            except Exception as error:  # one adapter must not take the others down
                logger.exception("%s failed", self.adapter.name)
                self._report_down(f"unexpected {type(error).__name__}; see the log")
            self.settled.set()
            await self._clock.sleep(self._delay)
            self._delay = min(2 * self._delay, _MAX_DELAY)

    async def _serve(self) -> None:
        async with self.adapter:
            if self._state.status == "down":  # the first time the banner says so
                logger.info("%s is connected again", self.adapter.name)
            self._state = AdapterState(self.adapter.name, "up")
            self.settled.set()
            await self.go.wait()
            began_at = self._clock.monotonic()
            try:
                await self.adapter.listen(self._handler)
            finally:
                if self._clock.monotonic() - began_at >= _STEADY_SECONDS:
                    self._delay = _FIRST_DELAY

    def _report_down(self, why: str) -> None:
        self._state = AdapterState(self.adapter.name, "down", why)
        logger.warning("%s is down and is tried again: %s", self.adapter.name, why)


class LateConversations:
    """``bot.ports.Conversations`` while the model loads: answers once ``arrive`` was called."""

    def __init__(self) -> None:
        self._real: Conversations | None = None

    def arrive(self, real: Conversations) -> None:
        self._real = real

    @property
    def _there(self) -> Conversations:
        if self._real is None:
            raise StillLoading
        return self._real

    async def handle(self, incoming: Incoming) -> None:
        await self._there.handle(incoming)

    async def complete(self, request: CompletionRequest) -> Generation:
        return await self._there.complete(request)

    async def complete_all(
        self, request: CompletionRequest, num_answers: int
    ) -> Sequence[Generation]:
        return await self._there.complete_all(request, num_answers)

    async def converse(self, question: SessionQuestion) -> Generation:
        return await self._there.converse(question)

    async def forget(self, session: Session) -> int:
        return await self._there.forget(session)

    async def forget_thread(self, place: Place) -> None:
        await self._there.forget_thread(place)

    async def vote(self, account: str, answer_id: str, rating: int) -> None:
        await self._there.vote(account, answer_id, rating)

    async def embed(
        self, account: str, user: str | None, model: str | None, request: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        return await self._there.embed(account, user, model, request)

    async def tokenizer(
        self, account: str, personality: str | None, model: str | None
    ) -> Tokenizes:
        return await self._there.tokenizer(account, personality, model)

    def personalities(self) -> tuple[Personality, ...]:
        return self._real.personalities() if self._real else ()

    async def standing(self, place: Place, person: Person) -> Standing:
        return await self._there.standing(place, person)

    def listens(self, place: Place) -> bool:
        return self._real is not None and self._real.listens(place)

    def refusal_of(self, place: Place, person: Person) -> str:
        return self._real.refusal_of(place, person) if self._real else ""

    async def threads(self, person: Person) -> list[ThreadSummary]:
        return await self._there.threads(person)

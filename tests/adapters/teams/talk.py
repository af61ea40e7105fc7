"""People in Teams and all of Parley but its model, to talk to in a test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from adapters.teams.adapter import TeamsAdapter
from adapters.teams.conversations import read_conversation
from bot.access import Access
from bot.attachments.uploads import Uploads
from bot.conversation import ConversationRules, ConversationService
from bot.history import SqlThreadStore
from bot.limits import Limits
from bot.metrics import Metrics
from bot.settings.kinds import DEFAULT_STOP_REACTIONS
from bot.stored import TurnState
from bot.types import Incoming
from tests.adapters.teams.conftest import SHORT, make_adapter, serving
from tests.bot.new_database import open_new_store
from tests.bot.talk import StageClock, WatchedStore, book
from tests.contracts.adapter import listening
from tests.fakes.clock import FakeClock
from tests.fakes.generator import ScriptedGeneration, ScriptedGenerator
from tests.fakes.teams import FakeTeams
from tests.fakes.teams_activities import Json

PATIENCE = 30.0
"""Seconds; generous, since the machine may be busy."""

POLL_SECONDS = 0.001
_CALLS = ("post", "edit", "delete", "typing", "begin", "grow", "finish", "offer")


class EagerClock(FakeClock):
    """Whoever wants to sleep less than a minute has slept when the loop comes round."""

    async def sleep(self, seconds: float) -> None:
        if seconds >= 60:
            await super().sleep(seconds)
        self._elapsed += max(0.0, seconds)
        await asyncio.sleep(POLL_SECONDS)


@dataclass
class Talk:
    teams: FakeTeams
    generator: ScriptedGenerator
    store: SqlThreadStore
    adapter: TeamsAdapter
    metrics: Metrics
    num_taken: int = 0
    """How many events the adapter has handed on."""

    async def say(self, given: Json) -> None:
        assert await self.teams.deliver({**given, "serviceUrl": self.teams.url}) in (200, 202)

    async def asked(self, given: Json) -> ScriptedGeneration:
        await self.say(given)
        return await asyncio.wait_for(self.generator.started(), 5)

    async def sees(self, conversation: str, *texts: str) -> None:
        with suppress(AssertionError):
            await until(lambda: self.teams.texts(conversation) == list(texts))
        assert self.teams.texts(conversation) == list(texts)

    async def state(self, asked: Json) -> TurnState:
        """How the turn ended; it must end soon."""
        conversation = read_conversation(asked)
        assert conversation is not None
        async with asyncio.timeout(PATIENCE):
            while True:
                turn = await self.store.turn_of_message(conversation.place, asked["id"])
                if turn is not None and turn.state.is_finished:
                    return turn.state
                await asyncio.sleep(POLL_SECONDS)

    def reply_to(self, conversation: str) -> str:
        kept = self.teams.messages.items()
        return next(key for key, each in kept if each.conversation.startswith(conversation))


async def until(is_seen: Callable[[], bool]) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    while not is_seen():
        assert loop.time() < deadline, "it did not come to that"
        await asyncio.sleep(POLL_SECONDS)


@asynccontextmanager
async def talking(
    teams: FakeTeams, folder: Path, clock: StageClock | None = None, limits: Limits = SHORT
) -> AsyncIterator[Talk]:
    """Time passes as soon as somebody waits; the test's own only while nothing is under way."""
    teams.clock = teams.issuer.clock = used = clock or EagerClock()
    adapter, generator = make_adapter(teams, clock=used, limits=limits), ScriptedGenerator()
    store = await open_new_store(folder / "parley.db", used)
    metrics = Metrics()
    if clock:
        clock.watch(adapter, *_CALLS)
        clock.store = WatchedStore(store)
        store = cast(SqlThreadStore, clock.store)
    service = ConversationService(
        store=store,
        generator=generator,
        personalities=await asyncio.to_thread(book, folder / "personalities"),
        access=Access(max_in_flight=0, per_minute=0, clock=used),
        adapters={"teams": adapter},
        clock=used,
        metrics=metrics,
        rules=ConversationRules(stop_reactions=DEFAULT_STOP_REACTIONS),
        uploads=Uploads(folder / "uploads"),
    )
    talk = Talk(teams, generator, store, adapter, metrics)

    async def handle(event: Incoming) -> None:
        talk.num_taken += 1
        await service.handle(event)

    await service.start()
    async with serving(adapter, teams), adapter, listening(adapter, handle):
        yield talk
        await service.close()
    await store.close()

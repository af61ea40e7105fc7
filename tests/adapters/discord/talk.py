"""A Parley on the wire of the strict Discord: the real adapter, store and SDK, a scripted model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from prometheus_client import Counter

from adapters.discord.adapter import LIMITS, DiscordAdapter
from adapters.discord.api.components import label_in
from adapters.discord.settings import DiscordSettings
from bot.access import Access
from bot.attachments.uploads import Uploads
from bot.clock import SystemClock
from bot.conversation import ConversationRules, ConversationService
from bot.errors import PlatformError
from bot.history import SqlThreadStore
from bot.history.database import BUSY_TIMEOUT
from bot.metrics import Metrics
from bot.running.supervision import LateConversations
from bot.stored import Turn, TurnState
from tests.bot.new_database import open_new_store
from tests.bot.talk import book
from tests.fakes.discord import TOKEN, FakeDiscord
from tests.fakes.discord_guild import ADA, BOT, CHANNEL
from tests.fakes.generator import ScriptedGeneration, ScriptedGenerator

QUICK = replace(LIMITS, edit_interval=0.02, call_timeout=3.0)
STOP = ("🛑", "✋")


class Talk:
    def __init__(
        self,
        discord: FakeDiscord,
        adapter: DiscordAdapter,
        service: ConversationService,
        store: SqlThreadStore,
        generator: ScriptedGenerator,
        metrics: Metrics,
    ) -> None:
        self.discord = discord
        self.adapter = adapter
        self.service = service
        self.store = store
        self.generator = generator
        self.metrics = metrics

    async def generation(self) -> ScriptedGeneration:
        async with asyncio.timeout(10):
            return await self.generator.started()

    async def asked(self, text: str, **where: str) -> tuple[str, ScriptedGeneration]:
        """A question in a channel and the generation that the test leads."""
        question = await self.discord.ask(text, **where)
        return question, await self.generation()

    async def answered(self, text: str, reply: str, **where: str) -> tuple[str, str]:
        """Ask in a channel, be answered in its thread; the ids of both messages."""
        self.generator.replies.append(reply)
        question = await self.discord.ask(text, **where)
        message = await self.discord.says(reply, question)
        await self.ended(message)
        return question, message

    async def ended(self, message: str) -> None:
        """Until the buttons of a finished reply are under it, and its end is on disk."""
        await self.discord.until(lambda: "Retry" in self.discord.buttons(message))
        label = label_in(self.discord.messages[message])
        async with asyncio.timeout(10):
            while label and label.turn_id in [turn.id for turn in await self.turns()]:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def noted(self, message: str, thread: str) -> None:
        """Until the message is on disk as one of the reply; people are slower than that."""
        async with asyncio.timeout(10):
            while await self.state(message, thread) is None:  # noqa: ASYNC110 - the store tells nobody
                await asyncio.sleep(0.01)

    async def quiet(self) -> None:
        """Until what came afterwards was answered: what came before has had its turn."""
        for _ in range(2):
            asked = await self.discord.slash("parley", sub="status")
            await self.discord.until(lambda: self.discord.answer_to(asked))  # noqa: B023

    async def is_over(self, question: str) -> None:
        """Until the turn has ended, with or without a word that anybody sees."""
        async with asyncio.timeout(10):
            while (state := await self.state(question)) is None or not state.is_finished:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def turns(self) -> list[Turn]:
        found = await self.store.unfinished()
        return sorted(found, key=lambda turn: turn.number)

    def num_files(self) -> dict[str, float]:
        return counted(self.metrics.files, "outcome")

    def num_refusals(self) -> dict[str, float]:
        return counted(self.metrics.refusals, "said")

    async def state(self, question: str, channel: str = CHANNEL) -> TurnState | None:
        from bot.types import Place

        place = Place("discord", "800000000000000001", CHANNEL, "")
        turn = await self.store.turn_of_message(place, f"{channel}/{question}")
        return turn.state if turn else None


def counted(counter: Counter, label: str) -> dict[str, float]:
    samples = [one for each in counter.collect() for one in each.samples]
    return {one.labels[label]: one.value for one in samples if one.name.endswith("_total")}


@asynccontextmanager
async def talking(folder: Path, discord: FakeDiscord, **options: Any) -> AsyncIterator[Talk]:
    """``options``: ``clock``, ``limits``, ``token_seconds``, ``access`` (for ``Access``),
    ``busy_timeout`` of the store, and those of Discord's settings.
    """
    clock = options.pop("clock", None) or SystemClock()
    token_seconds = options.pop("token_seconds", 870.0)
    access = Access(clock=clock, **options.pop("access", {}))
    limits = options.pop("limits", QUICK)
    busy_timeout = options.pop("busy_timeout", BUSY_TIMEOUT)
    personalities = await asyncio.to_thread(book, folder / "personalities")
    settings = DiscordSettings(TOKEN, discord.api_url, discord.gateway_url, **options)
    conversations = LateConversations()
    adapter = DiscordAdapter(
        settings,
        clock,
        lambda *_: None,
        lambda: tuple(personalities.all()),
        limits,
        token_seconds,
        listens=conversations.listens,
        refusal=conversations.refusal_of,
    )
    store = await open_new_store(folder / "parley.db", clock, busy_timeout=busy_timeout)
    generator = ScriptedGenerator()
    metrics = Metrics()
    service = ConversationService(
        store=store,
        generator=generator,
        personalities=personalities,
        access=access,
        adapters={"discord": adapter},
        clock=clock,
        metrics=metrics,
        rules=ConversationRules(max_tokens=100, stop_reactions={"discord": STOP}),
        uploads=Uploads(folder / "uploads"),
    )
    conversations.arrive(service)
    async with adapter:
        await service.start()
        listening = asyncio.create_task(adapter.listen(service.handle))
        try:
            yield Talk(discord, adapter, service, store, generator, metrics)
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError, PlatformError):
                await listening
            await service.close()
            await store.close()


__all__ = ["ADA", "BOT", "Talk", "talking"]

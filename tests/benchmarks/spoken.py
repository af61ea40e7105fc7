"""Replies that are said word by word, so that it is known when which word was there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from bot.access import Access
from bot.attachments.uploads import Uploads
from bot.conversation import ConversationRules, ConversationService
from bot.history import open_store
from bot.metrics import Metrics
from bot.personality import PersonalityBook
from bot.ports import Adapter, Clock
from bot.settings.tables import SHIPPED_PERSONALITIES
from tests.contracts.adapter import listening
from tests.fakes.generator import ScriptedGenerator

WORD_SECONDS = 0.05
NUM_WORDS, NUM_WORDS_QUICK = 200, 60
_MAX_SECONDS = 120

Shown = Sequence[tuple[float, str, str]]
"""When, in which message, and what of it people saw then."""


class SpokenReplies:
    """To the questions ``Question N``; ``said_at``: of each reply, when each word was there."""

    def __init__(self, num_words: int, word_seconds: float) -> None:
        self.generator = ScriptedGenerator()
        self.said_at: dict[str, list[float]] = {}
        self._num_words = num_words
        self._word_seconds = word_seconds

    async def say(self, num_replies: int, shown: Shown) -> None:
        """All at once; returns once all of them are seen to their last word."""
        await asyncio.gather(*(self._say_one() for _ in range(num_replies)))
        lasts = [f"q{number}w{self._num_words - 1}" for number in range(num_replies)]
        async with asyncio.timeout(_MAX_SECONDS):
            while not all(any(t.rstrip().endswith(w) for *_, t in shown) for w in lasts):  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async def _say_one(self) -> None:
        generation = await self.generator.started()
        name = f"q{generation.question.rpartition(' ')[2]}"
        said_at = self.said_at.setdefault(name, [])
        for word in range(self._num_words):
            said_at.append(time.monotonic())
            generation.say(f"{name}w{word} ")
            await asyncio.sleep(self._word_seconds)
        generation.finish()

    def lags(self, shown: Shown) -> list[float]:
        """Of every word, from when it was there to the first text that shows it."""
        lags: list[float] = []
        for name, said_at in self.said_at.items():
            num_seen = 0
            for at, _, text in shown:
                count = text.count(f"{name}w")
                lags += [at - said for said in said_at[num_seen:count]]
                num_seen = max(num_seen, count)
        return lags


@asynccontextmanager
async def conversing(
    folder: Path, clock: Clock, name: str, adapter: Adapter, generator: ScriptedGenerator
) -> AsyncIterator[None]:
    """All of Parley but its model, and without limits for people. Enters the adapter, too."""
    book = await asyncio.to_thread(PersonalityBook.load, SHIPPED_PERSONALITIES, "assistant")
    store = await open_store(f"sqlite:///{folder / 'parley.db'}", clock)
    service = ConversationService(
        store=store,
        generator=generator,
        personalities=book,
        access=Access(max_in_flight=0, per_minute=0, clock=clock),
        adapters={name: adapter},
        clock=clock,
        metrics=Metrics(),
        rules=ConversationRules(),
        uploads=Uploads(folder / "uploads"),
    )
    await service.start()
    async with adapter, listening(adapter, service.handle):
        yield
        await service.close()
    await store.close()

"""A Parley on the wire of the strict Slack: the real adapter, store and SDK, a scripted model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from adapters.slack.adapter import LIMITS, SlackAdapter
from adapters.slack.api.settings import SlackSettings
from bot.access import Access
from bot.attachments.uploads import Uploads
from bot.clock import SystemClock
from bot.conversation import ConversationRules, ConversationService
from bot.errors import PlatformError
from bot.history import SqlThreadStore
from bot.history import usage as stored
from bot.limits import RateRule
from bot.metrics import Metrics
from bot.types import Place
from tests.adapters.slack.conftest import bound_socket, serving
from tests.bot.new_database import open_new_store
from tests.bot.talk import book
from tests.fakes.generator import ScriptedGeneration, ScriptedGenerator
from tests.fakes.slack import SECRET, TOKEN, FakeSlack
from tests.fakes.slack_api import BOT, CHANNEL, TEAM

_POSTS = RateRule(frozenset({"post"}), "channel", 1, 0.02)
"""In place of one a second, which this Slack does not count."""

QUICK = replace(LIMITS, rules=(_POSTS, *LIMITS.rules[1:]), edit_interval=0.02, call_timeout=3.0)


class SlackTalk:
    def __init__(
        self, slack: FakeSlack, generator: ScriptedGenerator, store: SqlThreadStore, folder: Path
    ) -> None:
        self.slack = slack
        self.generator = generator
        self._store = store
        self._folder = folder

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not condition():  # noqa: ASYNC110 - Parley tells Slack, and Slack nobody
                await asyncio.sleep(0.01)

    async def asked(self, text: str, **where: str) -> tuple[str, ScriptedGeneration]:
        """A question in a channel, and the generation that the test leads."""
        question = await self.slack.say(f"<@{BOT}> {text}", **where)  # type: ignore[arg-type]
        async with asyncio.timeout(10):
            return question, await self.generator.started()

    async def says(self, text: str, thread: str) -> str:
        """Until a message of Parley's in the thread reads so; its ts."""
        await self.until(lambda: text in self._texts(thread))
        return self._texts(thread)[text]

    def _texts(self, thread: str) -> dict[str, str]:
        said = (each for each in self.slack.thread(thread) if each.get("user") == BOT)
        return {each["text"]: each["ts"] for each in said}

    async def answered(self, text: str, reply: str, **where: str) -> tuple[str, str]:
        """Ask, be answered, and wait for the buttons; the thread and the reply's message."""
        self.generator.replies.append(reply)
        question = await self.slack.say(f"<@{BOT}> {text}", **where)  # type: ignore[arg-type]
        ts = await self.says(reply, question)
        await self.ended(ts)
        return question, ts

    async def ended(self, ts: str) -> None:
        """Until the buttons of a finished reply are under it, and its end is on disk."""
        await self.until(lambda: "Retry" in self.slack.buttons(ts))
        found = [str(message) for (_, each), message in self.slack.messages.items() if each == ts]
        async with asyncio.timeout(10):
            while any(turn.id in str(found) for turn in await self._store.unfinished()):  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def noted(self, ts: str) -> None:
        """Until the message is on disk as one of the reply; people are slower than that."""
        place = Place("slack", TEAM, CHANNEL, "")
        async with asyncio.timeout(10):
            while await self._store.turn_of_message(place, ts) is None:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    def whispers(self, user: str) -> list[str]:
        return [each["text"] for each in self.slack.whispers if each["user"] == user]

    async def voted(self, *ratings: int) -> None:
        """Until the usage log holds these."""

        def read() -> list[int]:
            return [row.rating for row in stored.read(self._folder / "parley.db", None)]

        async with asyncio.timeout(10):
            while await asyncio.to_thread(read) != [*ratings]:  # noqa: ASYNC110
                await asyncio.sleep(0.02)


@asynccontextmanager
async def talking(folder: Path, slack: FakeSlack, **access: Any) -> AsyncIterator[SlackTalk]:
    clock = SystemClock()
    personalities = await asyncio.to_thread(book, folder / "personalities")
    adapter = SlackAdapter(
        SlackSettings(TOKEN, SECRET, slack.api_url),
        clock,
        lambda *_: None,
        QUICK,
        personalities=lambda: tuple(personalities.all()),
    )
    store = await open_new_store(folder / "parley.db", clock)
    generator = ScriptedGenerator()
    service = ConversationService(
        store=store,
        generator=generator,
        personalities=personalities,
        access=Access(clock=clock, **access),
        adapters={"slack": adapter},
        clock=clock,
        metrics=Metrics(),
        rules=ConversationRules(max_tokens=100),
        uploads=Uploads(folder / "uploads"),
    )
    listener, slack.events_url = bound_socket()
    async with serving(adapter, listener), adapter:
        await service.start()
        listening = asyncio.create_task(adapter.listen(service.handle))
        await asyncio.sleep(0)
        try:
            yield SlackTalk(slack, generator, store, folder)
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError, PlatformError):
                await listening
            await service.close()
            await store.close()

"""A Parley that runs, whose answers a test leads, and somebody at a terminal beside it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from adapters.web.context import PageContext
from adapters.web.routes import page_routes
from bot.chats import Chats, ChatTurn, Owner
from bot.clock import SystemClock
from bot.lock import DataLock
from bot.metrics import Metrics
from bot.server import Server, ServerSettings
from bot.types import Personality
from bot.web.sign_ins import SignIns
from tests.fakes.chats import FakeChats
from tests.fakes.readiness import always
from tests.scenarios.polling import eventually

OWNER = Owner("local", "terminal")
PERSONALITIES = (
    Personality("assistant", "Assistant", "You help.", greeting="Hello! Ask me **anything**."),
    Personality("coder", "Coder", "You write code.", description="Writes code."),
)


class Stage:
    """``chats``: those of the person at the terminal."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.chats = FakeChats()
        self._running: AsyncExitStack | None = None
        self._num_starts = 0

    async def start(self) -> None:
        """At another address and with another key each time."""
        self._num_starts += 1
        key = f"key-{self._num_starts}"
        loaded: asyncio.Future[Chats] = asyncio.get_running_loop().create_future()
        loaded.set_result(self.chats)
        stack = self._running = AsyncExitStack()
        lock = await stack.enter_async_context(DataLock(self.folder / "data"))
        clock = SystemClock()
        sign_ins = SignIns(clock, self.folder / "sign_ins.json")
        settings = ServerSettings(port=0, own_key=key, drain_seconds=0.1)
        server = Server(settings, Metrics(), always(), sign_ins)
        context = PageContext(
            chats=loaded,
            callers=server.callers,
            clock=clock,
            model=lambda: "smollm2",
            personalities=lambda: PERSONALITIES,
            personality="assistant",
            is_admin=lambda _: False,
            max_files=2,
            max_upload=100_000,
        )
        server.mount_page(page_routes(context))
        await stack.enter_async_context(server)
        stack.callback(self.chats.close)
        await asyncio.to_thread(lock.announce, server.url, key)

    async def stop(self) -> None:
        if self._running:
            await self._running.aclose()
            self._running = None

    async def asked(self, question: str) -> ChatTurn:
        """The turn of that question, which is not answered yet."""

        async def found() -> ChatTurn | None:
            for summary in await self.chats.chats(OWNER):
                for turn in (await self.chats.chat(OWNER, summary.id)).turns:
                    if turn.question == question and turn.growing:
                        return turn
            return None

        return await eventually(found, what=question)

    def grow(self, turn: ChatTurn, reply: str = "", *, reasoning: str = "") -> None:
        self.chats.grow(OWNER, turn.id, reply, reasoning=reasoning)

    def end(self, turn: ChatTurn, reply: str | None = None) -> None:
        self.chats.end(OWNER, turn.id, reply)

    async def answer(self, question: str, reply: str) -> None:
        self.end(await self.asked(question), reply)


@asynccontextmanager
async def stage(folder: Path) -> AsyncIterator[Stage]:
    here = Stage(folder)
    await here.start()
    try:
        yield here
    finally:
        await here.stop()

"""A machine whose plug is pulled: one disk and one platform, through any number of lives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar, cast

from bot.stores import ThreadStore
from tests.bot.talk import Talk, TalkClock, make, open_test_store
from tests.fakes.generator import ScriptedGenerator
from tests.fakes.platform import Call, RichFakePlatform

T = TypeVar("T")


class Mains:
    """Once unplugged, whoever asks anything hangs for ever, as a killed process does."""

    def __init__(self) -> None:
        self.is_on = True
        self._end_of_test = asyncio.Event()

    async def flow(self) -> None:
        if not self.is_on:
            await self._end_of_test.wait()
            raise asyncio.CancelledError

    def bury(self) -> None:
        """What hangs ends, so that the test can."""
        self.is_on = False
        self._end_of_test.set()


class MortalStore:
    """The real store, for one process; ``dies_before`` names the call it does not survive."""

    def __init__(self, store: ThreadStore, mains: Mains) -> None:
        self._store = store
        self._mains = mains
        self.dies_before: str | None = None

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            if name == self.dies_before:
                self._mains.is_on = False
            await self._mains.flow()
            return await method(*args, **kwargs)

        return call


class MortalPlatform(RichFakePlatform):
    """One process's line to a platform that outlives it: what the dead still send is lost."""

    def __init__(
        self, clock: TalkClock, mains: Mains, before: MortalPlatform | None = None
    ) -> None:
        super().__init__(clock)
        self._mains = mains
        if before is not None:
            self.messages = before.messages
            self._num_posts = before._num_posts

    async def _arrive(self, call: Call, effect: Callable[[Call], T]) -> T:
        await self._mains.flow()
        return await super()._arrive(call, effect)


class Machine:
    """One disk and one platform, through any number of lives."""

    def __init__(self, folder: Path, store: ThreadStore, clock: TalkClock) -> None:
        self._folder = folder
        self.store = store
        self.clock = clock
        self.platform: MortalPlatform | None = None
        self._talks: list[Talk] = []
        self._mains: list[Mains] = []

    async def boot(self, generator: ScriptedGenerator | None = None) -> Talk:
        mains = Mains()
        self._mains.append(mains)
        self.platform = MortalPlatform(self.clock, mains, self.platform)
        store = MortalStore(self.store, mains)
        talk = await make(
            self._folder,
            cast(ThreadStore, store),
            clock=self.clock,
            platform=self.platform,
            generator=generator,
        )
        self._talks.append(talk)
        await talk.service.start()
        return talk

    async def pull_the_plug(self) -> None:
        self._mains[-1].is_on = False
        await self._talks[-1].quiet()

    def dies_before(self, call: str) -> None:
        cast(MortalStore, self._talks[-1].store).dies_before = call

    async def dies(self) -> None:
        await self._talks[-1].until(lambda: not self._mains[-1].is_on)
        await self._talks[-1].quiet()

    async def close(self) -> None:
        for mains in self._mains:
            mains.bury()
        for talk in self._talks:
            with suppress(asyncio.CancelledError):  # the dead write nothing more
                await talk.close()
        await self.store.close()


@asynccontextmanager
async def running_machine(folder: Path) -> AsyncIterator[Machine]:
    clock = TalkClock()
    machine = Machine(folder, await open_test_store(folder, clock), clock)
    try:
        yield machine
    finally:
        await machine.close()


def answering(*replies: str) -> ScriptedGenerator:
    generator = ScriptedGenerator()
    generator.replies.extend(replies)
    return generator

"""Forgotten is forgotten, whatever is under way: also what is read ahead for the next question."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.generation import GenerationRequest
from bot.types import Command, Place
from tests.bot.machine import answering, running_machine
from tests.bot.talk import ADA, Talk, place, talking
from tests.fakes.generator import ScriptedGenerator

THREAD = str(place())
FORGET = Command(event_id="command 7", place=place(), person=ADA, name="forget", awaits_answer=True)


class SlowReader(ScriptedGenerator):
    """Reads ahead once it ``may_read``; ``deeds`` is what it did, in order."""

    def __init__(self) -> None:
        super().__init__(window=400)
        self.deeds: list[str] = []
        self.may_read = asyncio.Event()

    async def warm(self, request: GenerationRequest) -> None:
        self.deeds.append(f"reads {request.thread} ahead")
        try:
            await self.may_read.wait()
            self.deeds.append(f"has read {request.thread} ahead")
        finally:
            self.deeds.append(f"stops reading {request.thread}")

    async def forget(self, thread: str, scope: str) -> None:
        await super().forget(thread, scope)
        self.deeds.append(f"forgets {thread}")


@pytest.fixture
async def generator() -> SlowReader:
    return SlowReader()


@pytest.fixture
async def talk(tmp_path: Path, generator: SlowReader) -> AsyncIterator[Talk]:
    async with talking(tmp_path, generator=generator) as talk:
        yield talk


async def outgrow(talk: Talk, generator: SlowReader) -> None:
    """Talk until the thread is cut to the window, and what is left is being read ahead."""
    while not generator.deeds:
        await talk.answered("Question " + "word " * 40, "word " * 20)
        await talk.quiet()


async def test_a_thread_that_is_forgotten_while_it_is_read_ahead_is_read_no_further(
    talk: Talk, generator: SlowReader
) -> None:
    await outgrow(talk, generator)
    await talk.ask("forget")
    await talk.quiet()
    generator.may_read.set()
    await talk.quiet()
    assert generator.deeds == [
        f"reads {THREAD} ahead",
        f"stops reading {THREAD}",
        f"forgets {THREAD}",
    ]


async def test_a_thread_that_is_forgotten_while_it_is_cut_is_not_read_ahead(
    talk: Talk, generator: SlowReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_cutting, may_cut = asyncio.Event(), asyncio.Event()

    async def slow(_place: Place, _number: int) -> None:
        is_cutting.set()
        await may_cut.wait()

    monkeypatch.setattr(talk.store, "keep_from", slow)
    while not is_cutting.is_set():
        await talk.answered("Question " + "word " * 40, "word " * 20)
        await talk.quiet()
    await talk.ask("forget")
    await talk.quiet()
    may_cut.set()
    await talk.quiet()
    assert generator.deeds == [f"forgets {THREAD}"]


async def test_another_thread_is_read_ahead_all_the_same(talk: Talk, generator: SlowReader) -> None:
    await outgrow(talk, generator)
    await talk.answered("Hello.", "Hello.", thread="t2")
    await talk.ask("forget", thread="t2")
    generator.may_read.set()
    await talk.quiet()
    assert f"has read {THREAD} ahead" in generator.deeds


async def test_what_the_retention_takes_is_kept_by_the_engine_neither(
    talk: Talk, generator: SlowReader
) -> None:
    """The thread goes on, and its state would hold the old turns, too."""
    await outgrow(talk, generator)
    await talk.service.let_go(place())
    generator.may_read.set()
    await talk.quiet()
    assert generator.deeds[1:] == [f"stops reading {THREAD}", f"forgets {THREAD}"]


async def test_forgetting_that_was_promised_is_done_though_the_plug_is_pulled(
    tmp_path: Path,
) -> None:
    """A platform that awaits an answer is told that it is on disk, and not that it is done."""
    async with running_machine(tmp_path) as machine:
        first = await machine.boot(answering("Fine."))
        await first.ask("How are you?")
        await first.sees("Fine.")
        await first.quiet()
        machine.dies_before("forget")
        await first.service.handle(FORGET)
        await machine.dies()
        assert len(await machine.store.turns(place())) == 1
        second = await machine.boot()
        await second.until(lambda: any("Forgotten" in said for said in second.visible()))
        assert not await machine.store.turns(place())
        assert not await machine.store.owed()

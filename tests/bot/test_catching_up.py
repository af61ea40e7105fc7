"""``catch up``: a plug that is pulled loses none, and nobody is read to who may not ask."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.errors import Unavailable
from bot.turns.commands import CATCHING_UP, NOT_READ, NOTHING_SAID
from bot.types import Command
from tests.bot.machine import Machine, answering, running_machine
from tests.bot.talk import ADA, Talk, place, talking

CATCH_UP = Command(event_id="command 7", place=place(""), person=ADA, name="catch up")
SAID = "Bob: The lift is broken."
TOLD = ["What was said there:", "The lift is broken."]
NO_LINE = Unavailable("No line.", ambiguous=False)


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    async with running_machine(tmp_path) as machine:
        yield machine


def told(talk: Talk) -> list[str]:
    return talk.visible("", "D-Ada")


@pytest.mark.parametrize("call", ["accept", "note_read", "begin"])
async def test_who_waits_to_be_told_when_the_plug_is_pulled_is_told_what_was_said(
    machine: Machine, call: str
) -> None:
    first = await machine.boot()
    machine.dies_before(call)
    await first.service.handle(CATCH_UP)
    await first.quiet()
    await machine.pull_the_plug()
    second = await machine.boot(answering("The lift is broken."))
    await second.until(lambda: told(second)[-1:] == TOLD[1:])
    assert SAID in second.generator.generations[-1].question


@pytest.mark.parametrize("call", ["lately", "post"])
async def test_where_the_platform_is_out_of_reach_after_a_restart_it_is_tried_again(
    machine: Machine, call: str
) -> None:
    first = await machine.boot()
    assert machine.platform is not None
    machine.platform.fail("lately", *[NO_LINE] * 5)
    await first.service.handle(CATCH_UP)
    await machine.pull_the_plug()
    second = await machine.boot(answering("The lift is broken."))
    assert machine.platform is not None
    machine.platform.fail(call, *[NO_LINE] * 3)
    await second.until(lambda: told(second) == TOLD)
    assert second.whispers() == [CATCHING_UP]


async def test_where_it_stays_out_of_reach_the_person_is_told_as_soon_as_that_works(
    tmp_path: Path,
) -> None:
    async with talking(tmp_path) as talk:
        talk.platform.fail("lately", *[NO_LINE] * 99)
        talk.platform.fail("whisper", *[NO_LINE] * 3)
        await talk.service.handle(CATCH_UP)
        await talk.clock.advance(90)
        await talk.until(lambda: talk.whispers() == [NOT_READ])
        assert not await talk.store.owed()


async def test_whoever_has_asked_enough_is_told_so_and_nothing_is_read(tmp_path: Path) -> None:
    async with talking(tmp_path, max_in_flight=1) as talk:
        await talk.ask("Why?")
        await talk.generation()
        await talk.service.handle(CATCH_UP)
        await talk.until(lambda: len(talk.whispers()) == 1)
        assert not talk.platform.made("lately")


async def test_where_direct_messages_are_not_answered_nothing_is_read(tmp_path: Path) -> None:
    async with talking(tmp_path, direct_messages=False) as talk:
        await talk.service.handle(CATCH_UP)
        await talk.until(lambda: len(talk.whispers()) == 1)
        assert not talk.platform.made("lately")


async def test_where_nothing_was_said_one_may_still_ask(tmp_path: Path) -> None:
    async with talking(tmp_path, max_in_flight=1) as talk:
        talk.platform.said = ()  # type: ignore[attr-defined]
        await talk.service.handle(CATCH_UP)
        await talk.until(lambda: talk.whispers() == [NOTHING_SAID])
        await talk.answered("Why?", "Because.")
        assert talk.visible() == ["Because."]

"""Questions that are no messages: a plug that is pulled loses none, and asks none twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.errors import Unavailable
from bot.turns.recovery import TOO_LATE
from bot.types import UnpostedQuestion
from tests.bot.machine import Machine, answering, running_machine
from tests.bot.talk import ADA, Talk, make, place

ASKED = UnpostedQuestion(
    event_id="command 1.2.3", place=place(""), person=ADA, awaits_answer=True, text="Why?"
)
IN_A_THREAD = replace(ASKED, place=place("t1"), quoted="> because")


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    async with running_machine(tmp_path) as machine:
        yield machine


def shown(talk: Talk) -> list[str]:
    """In all threads."""
    return [each.text for each in talk.platform.messages.values()]


async def out_of_reach(talk: Talk, asked: UnpostedQuestion) -> None:
    """It is acknowledged and cannot be posted yet."""
    talk.platform.fail("post", *[Unavailable("No line.", ambiguous=False)] * 3)
    await talk.service.handle(asked)
    await talk.clock.settle()
    assert shown(talk) == []


@pytest.mark.parametrize("asked", [ASKED, IN_A_THREAD], ids=["in a channel", "in a thread"])
@pytest.mark.parametrize("call", ["accept", "begin", None])
async def test_a_question_killed_after_it_was_acknowledged_is_posted_and_answered_once(
    machine: Machine, asked: UnpostedQuestion, call: str | None
) -> None:
    """Before it is posted, before that is known, or before its turn begins."""
    first = await machine.boot()
    if call:
        machine.dies_before(call)
        await first.service.handle(asked)
        await machine.dies()
        assert shown(first) == ["Ada asks: Why?"]
    else:
        await out_of_reach(first, asked)
        await machine.pull_the_plug()
    second = await machine.boot(answering("Because."))
    await second.until(lambda: shown(second) == ["Ada asks: Why?", "Because."])
    await second.quiet()
    await machine.pull_the_plug()
    third = await machine.boot()
    await third.quiet()
    assert shown(third) == ["Ada asks: Why?", "Because."]
    assert not await machine.store.owed()


async def test_what_goes_with_the_question_is_asked_after_the_restart_too(
    machine: Machine,
) -> None:
    first = await machine.boot()
    machine.dies_before("accept")
    await first.service.handle(IN_A_THREAD)
    await machine.dies()
    second = await machine.boot(answering("Because."))
    await second.until(lambda: len(shown(second)) == 2)
    assert second.generator.generations[0].question == "Why?\n\n> because"


async def test_a_question_of_which_the_disk_knew_nothing_was_not_acknowledged(
    machine: Machine,
) -> None:
    first = await machine.boot()
    machine.dies_before("owe")
    acknowledged = first.service._handling.begin(first.service.handle(ASKED))
    await machine.dies()
    assert not acknowledged.done()
    second = await machine.boot()
    await second.quiet()
    assert shown(second) == []


async def test_delivered_again_after_the_restart_it_is_not_asked_again(machine: Machine) -> None:
    first = await machine.boot()
    machine.dies_before("accept")
    await first.service.handle(ASKED)
    await machine.dies()
    second = await machine.boot(answering("Because."))
    await second.service.handle(ASKED)
    await second.until(lambda: len(shown(second)) == 2)
    await second.quiet()
    assert shown(second) == ["Ada asks: Why?", "Because."]


async def test_whose_question_is_too_old_after_the_restart_is_told(machine: Machine) -> None:
    first = await machine.boot()
    await out_of_reach(first, ASKED)
    await machine.pull_the_plug()
    await machine.clock.advance(1000)
    second = await machine.boot()
    await second.until(lambda: second.whispers() == [TOO_LATE])
    assert shown(second) == []
    assert not await machine.store.owed()


async def test_a_question_that_waits_for_the_platform_when_parley_stops_is_asked_by_the_next(
    machine: Machine,
) -> None:
    first = await machine.boot()
    await out_of_reach(first, ASKED)
    await first.close()
    second = await machine.boot(answering("Because."))
    await second.until(lambda: shown(second) == ["Ada asks: Why?", "Because."])


@pytest.mark.parametrize("text", ["help", "stop", "Continue."])
async def test_a_question_that_reads_as_a_command_is_a_question_after_the_restart_too(
    machine: Machine, text: str
) -> None:
    first = await machine.boot()
    await first.service.handle(replace(IN_A_THREAD, text=text, quoted=""))
    await first.sees(f"Ada asks: {text}", "Thinking…")
    await machine.pull_the_plug()
    second = await machine.boot(answering("Because."))
    await second.sees(f"Ada asks: {text}", "Because.")


async def test_of_whoever_may_not_ask_any_more_after_the_restart_nothing_is_posted(
    machine: Machine, tmp_path: Path
) -> None:
    first = await machine.boot()
    await out_of_reach(first, ASKED)
    await machine.pull_the_plug()
    second = await make(tmp_path, machine.store, clock=machine.clock, deny=(ADA.id,))
    await second.service.start()
    await second.until(lambda: len(second.whispers()) == 1)
    assert "asked not to answer" in second.whispers()[0]
    assert shown(second) == []
    assert not await machine.store.owed()
    await second.close()

"""What a page shows while it waits, and Stop, which works at once wherever the answer stands."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from bot.generation import FinishReason
from bot.stored import TurnState
from tests.bot.chat.page import ADA, BOB, Page, chosen
from tests.bot.talk import Talk, talking
from tests.fakes.generator import ScriptedGeneration, ScriptedGenerator

Way = Callable[[Page, ScriptedGeneration, str], Awaitable[object]]

THINKER = "---\ntitle: Thinker\nreasoning: folded\n---\nYou think.\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a personality that shows what the model thinks aloud."""
    (tmp_path / "personalities").mkdir()
    (tmp_path / "personalities" / "thinker.md").write_text(THINKER)
    return tmp_path


async def in_line(page: Page, generation: ScriptedGeneration, turn_id: str) -> None:
    generation.queue(2, wait=4.0)
    await page.stage(turn_id, "queued")


async def loading(page: Page, generation: ScriptedGeneration, turn_id: str) -> None:
    generation.queue(1, loading="big")
    await page.stage(turn_id, "loading")


async def reading(page: Page, generation: ScriptedGeneration, turn_id: str) -> None:
    generation.queue(0)
    await page.stage(turn_id, "reading")


async def thinking(page: Page, generation: ScriptedGeneration, turn_id: str) -> None:
    generation.think("Hm.")
    await page.stage(turn_id, "thinking")


async def writing(page: Page, generation: ScriptedGeneration, turn_id: str) -> None:
    generation.say("I am")
    await page.stage(turn_id, "writing")


@pytest.mark.parametrize("way", [in_line, loading, reading, thinking, writing])
async def test_stop_works_wherever_the_answer_stands(talk: Talk, page: Page, way: Way) -> None:
    turn = await page.ask("Who are you?")
    generation = await page.led()
    await way(page, generation, turn.id)
    before = talk.clock.monotonic()
    await page.port.stop(ADA, turn.id)
    answer = await page.shows(turn.id)
    assert talk.clock.monotonic() == before
    assert generation.is_cancelled
    assert (answer.state, answer.reason) == (TurnState.STOPPED, FinishReason.CANCELLED)
    assert (answer.reply, answer.note) == ("I am" if way is writing else "", "Stopped.")
    assert answer.can_continue is (way is writing)
    await page.port.stop(ADA, turn.id)  # has nothing left to stop


async def test_who_waits_in_a_thread_is_stopped_at_once(talk: Talk, page: Page) -> None:
    first = await page.ask("One?")
    generation = await page.led()
    second, third = await page.ask("Two?"), await page.ask("Three?")
    assert (await page.stage(third.id, "queued")).place == 2
    await page.port.stop(ADA, second.id)
    assert (await page.shows(second.id)).state is TurnState.STOPPED
    await talk.until(lambda: standing(page, third.id) == ("queued", 1))
    assert page.turns[first.id].growing is not None
    generation.finish()
    await page.shows(first.id)
    (await page.led()).finish()
    await page.shows(third.id)
    assert [each.question for each in talk.generator.generations] == ["One?", "Three?"]


def standing(page: Page, turn_id: str) -> tuple[str, int | None] | None:
    growing = page.turns[turn_id].growing
    return None if growing is None else (growing.stage, growing.place)


async def test_who_waits_for_the_engine_sees_where_and_can_be_stopped(tmp_path: Path) -> None:
    generator = ScriptedGenerator()
    generator.max_unfinished = 1
    async with talking(tmp_path, generator=generator) as talk:
        page, other = Page(talk), Page(talk, BOB)
        first = await page.ask("One?")
        generation = await page.led()
        second = await other.ask("Two?")
        await talk.until(lambda: standing(other, second.id) == ("queued", 1))
        third = await Page(talk, BOB).ask("Three?")
        assert third.growing is not None
        await other.port.stop(BOB, second.id)
        assert (await other.shows(second.id)).state is TurnState.STOPPED
        generation.finish()
        await page.shows(first.id)
        assert (await page.led()).question == "Three?"
        for each in (page, other):
            each.close()


async def test_the_next_one_tries_as_soon_as_the_engine_begins_with_the_one_before(
    tmp_path: Path,
) -> None:
    generator = ScriptedGenerator()
    generator.max_unfinished = 1
    async with talking(tmp_path, generator=generator) as talk:
        page, other = Page(talk), Page(talk, BOB)
        await page.ask("One?")
        generation = await page.led()
        generation.queue(1)
        second = await other.ask("Two?")
        await talk.until(lambda: standing(other, second.id) == ("queued", 2))
        generator.max_unfinished = 2
        before = talk.clock.monotonic()
        generation.queue(0)
        assert (await other.led()).question == "Two?"
        assert talk.clock.monotonic() - before < 1
        for each in (page, other):
            each.close()


async def test_what_the_model_thinks_aloud_is_kept_beside_the_answer(folder: Path) -> None:
    async with talking(folder) as talk:
        page = Page(talk)
        turn = await page.ask("Who are you?", personality="thinker")
        generation = await page.led()
        generation.think("They want ")
        generation.think("a name.")
        await talk.until(lambda: "a name." in getattr(page.turns[turn.id].growing, "reasoning", ""))
        growing = page.turns[turn.id].growing
        assert growing is not None
        assert (growing.stage, growing.reasoning, growing.reply) == (
            "thinking",
            "They want a name.",
            "",
        )
        generation.say("Parley,")
        await page.sees(turn.id, "Parley,")
        await page.port.stop(ADA, turn.id)
        answer = await page.shows(turn.id)
        assert (answer.reply, answer.reasoning) == ("Parley,", "They want a name.")
        await page.port.go_on(ADA, turn.id)
        generation = await page.led()
        assert (await page.stage(turn.id, "reading")).reasoning == "They want a name."
        generation.say(" I think.")
        generation.finish()
        await talk.until(lambda: chosen(page.turns[turn.id]).reply == "Parley, I think.")
        assert chosen(page.turns[turn.id]).reasoning == "They want a name."
        page.close()


async def test_a_personality_that_hides_what_the_model_thinks_does_so(page: Page) -> None:
    turn = await page.ask("Who are you?")
    generation = await page.led()
    generation.think("They want a name.")
    assert (await page.stage(turn.id, "thinking")).reasoning == ""
    generation.say("Parley.")
    generation.finish()
    answer = await page.shows(turn.id)
    assert (answer.reply, answer.reasoning) == ("Parley.", "")

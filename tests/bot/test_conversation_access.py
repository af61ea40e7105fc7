"""Who is refused, and how much of that anybody notices."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bot.errors import StorageFull
from bot.stored import Turn
from bot.types import Person, Question
from tests.bot.talk import ADA, BOB, Talk, TalkClock, place, talking
from tests.fakes.platform import FakePlatform


async def test_a_refused_person_is_told_once_an_hour_and_nothing_is_stored(
    tmp_path: Path,
) -> None:
    async with talking(tmp_path, deny=[ADA.id]) as talk:
        for _ in range(3):
            await talk.ask("How are you?")
        await talk.quiet()
        assert len(talk.whispers(ADA)) == 1
        assert talk.visible() == []
        assert await talk.store.unfinished() == []
        await talk.clock.advance(3700)
        await talk.ask("How are you?")
        await talk.until(lambda: len(talk.whispers(ADA)) == 2)


async def test_where_nobody_can_whisper_a_refusal_is_posted_to_who_spoke_to_us(
    tmp_path: Path,
) -> None:
    clock = TalkClock()
    plain = FakePlatform(clock)
    async with talking(tmp_path, clock=clock, platform=plain, deny=[ADA.id]) as talk:
        await talk.answered("One?", "First.", person=BOB)
        await talk.ask("Hm.", is_mention=False)
        await talk.quiet()
        assert talk.visible() == ["First."]
        await talk.ask("How are you?")
        await talk.until(lambda: len(talk.visible()) == 2)
        assert "asked not to answer" in talk.visible()[1]


async def test_who_asks_too_much_at_once_is_told_and_may_ask_again_after_a_reply(
    tmp_path: Path,
) -> None:
    async with talking(tmp_path, max_in_flight=1) as talk:
        await talk.ask("One?", thread="t1")
        generation = await talk.generation()
        await talk.ask("Two?", thread="t2")
        await talk.until(lambda: bool(talk.whispers(ADA)))
        assert "still busy" in talk.whispers(ADA)[0]
        generation.say("First.")
        generation.finish()
        await talk.sees("First.")
        await talk.answered("Three?", "Third.", thread="t3")


async def test_a_question_delivered_again_is_not_taken_for_a_second_one(tmp_path: Path) -> None:
    async with talking(tmp_path, max_in_flight=1) as talk:
        await asyncio.gather(talk.ask("One?", message_id="q"), talk.ask("One?", message_id="q"))
        await talk.ask("One?", message_id="q")
        await talk.quiet()
        assert talk.whispers(ADA) == []
        assert len(talk.generator.generations) == 1


async def test_every_way_a_turn_ends_gives_the_place_back(tmp_path: Path) -> None:
    async with talking(tmp_path, max_in_flight=2) as talk:
        await stop_in_the_line_and_while_running(talk)
        await talk.answered("Three?", "Third.", thread="t3")
        await talk.ask("Four?")
        await talk.ask("Five?")
        await talk.ask("forget")
        await talk.quiet()
        await talk.ask("Six?")
        await talk.ask("Seven?", thread="t2")
        await talk.quiet()
        assert talk.whispers(ADA) == []


async def test_a_retry_that_cannot_be_stored_or_is_forgotten_gives_the_place_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with talking(tmp_path, max_in_flight=1) as talk:
        await talk.answered("One?", "First.")
        failures = [StorageFull("The disk is full."), LookupError("forgotten")]

        async def requeue(*_: object, **__: object) -> Turn:
            raise failures.pop(0)

        with monkeypatch.context() as disk:
            disk.setattr(talk.store, "requeue", requeue)
            with pytest.raises(StorageFull):
                await talk.ask("retry")
            await talk.ask("retry")
        assert talk.access.remainder(ADA).in_flight == 1
        talk.generator.replies.append("Again.")
        await talk.ask("retry")
        await talk.sees("Again.")


async def stop_in_the_line_and_while_running(talk: Talk) -> None:
    first = await talk.ask("One?")
    await talk.generation()
    second = await talk.ask("Two?")
    await talk.react(second.message_id, "octagonal_sign")
    await talk.react(first.message_id, "octagonal_sign")
    await talk.ended(first)


async def test_what_waits_in_one_channel_is_bounded(tmp_path: Path) -> None:
    async with talking(tmp_path, max_waiting_per_channel=2) as talk:
        await talk.ask("One?")
        await talk.ask("Two?")
        await talk.ask("Three?", person=BOB)
        await talk.ask("Elsewhere?", channel="D")
        await talk.until(lambda: bool(talk.whispers(BOB)))
        assert talk.whispers(BOB) == [
            "2 questions of this channel are waiting; please ask again later."
        ]
        assert len(await talk.store.turns(place(channel="D"))) == 1


async def test_of_forty_who_ask_at_once_no_more_are_let_in_than_may_wait(tmp_path: Path) -> None:
    async with talking(tmp_path, max_waiting_per_channel=5) as talk:
        await asyncio.gather(*(talk.ask(f"{n}?", thread=f"t{n}") for n in range(40)))
        assert len(await talk.store.unfinished()) == 5
        await talk.until(lambda: len(talk.whispers(ADA)) == 35)
        assert set(talk.whispers(ADA)) == {
            "5 questions of this channel are waiting; please ask again later."
        }


async def test_a_retry_counts_for_its_channel_like_a_question(tmp_path: Path) -> None:
    async with talking(tmp_path, max_waiting_per_channel=1) as talk:
        await talk.answered("One?", "First.")
        await talk.ask("Two?", thread="t2")
        await talk.ask("retry")
        await talk.until(lambda: bool(talk.whispers(ADA)))
        assert talk.whispers(ADA) == [
            "A question of this channel is waiting; please ask again later."
        ]


async def test_whoever_could_not_be_stored_does_not_count_for_the_channel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(_: Question) -> Turn | None:
        raise StorageFull("The disk is full.")

    async with talking(tmp_path, max_waiting_per_channel=1) as talk:
        with monkeypatch.context() as disk:
            disk.setattr(talk.store, "accept", full)
            with pytest.raises(StorageFull):
                await talk.ask("One?")
        await talk.answered("Two?", "Second.")


async def test_zero_lets_any_number_wait(tmp_path: Path) -> None:
    async with talking(tmp_path, max_waiting_per_channel=0) as talk:
        await asyncio.gather(*(talk.ask(f"{n}?", thread=f"t{n}") for n in range(60)))
        assert len(await talk.store.unfinished()) == 60


async def test_a_question_that_could_not_be_stored_is_taken_when_it_is_delivered_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with talking(tmp_path, max_in_flight=1) as talk:
        accept = talk.store.accept
        failures = [StorageFull("The disk is full.")]

        async def accept_later(question: Question) -> Turn | None:
            if failures:
                raise failures.pop()
            return await accept(question)

        monkeypatch.setattr(talk.store, "accept", accept_later)
        with pytest.raises(StorageFull):
            await talk.ask("How are you?", message_id="q")
        talk.generator.replies.append("Fine.")
        await talk.ask("How are you?", message_id="q")
        await talk.sees("Fine.")
        assert talk.whispers(ADA) == []


BOT = Person("fake:W/flow", "Flow", is_bot=True)


async def test_a_bot_that_is_refused_is_not_told_and_nothing_is_stored(tmp_path: Path) -> None:
    async with talking(tmp_path, allow=["fake:*"]) as talk:
        await talk.ask("How are you?", person=BOT)
        await talk.quiet()
        assert talk.visible() == talk.whispers(BOT) == []
        assert await talk.store.unfinished() == []


async def test_a_bot_that_is_named_asks_once_in_a_thread_with_a_mention(tmp_path: Path) -> None:
    async with talking(tmp_path, allow=["fake:*", BOT.id]) as talk:
        await talk.answered("One?", "First.")
        await talk.ask("By the way", person=BOT, is_mention=False)
        await talk.ask("help", person=BOT)
        await talk.answered("Two?", "Second.", person=BOT)
        await talk.ask("Three?", person=BOT)
        await talk.quiet()
        assert talk.visible() == ["First.", "Second."]
        assert len(talk.generator.generations) == 2
        await talk.answered("Four?", "Fourth.", thread="t2", person=BOT)


async def test_what_a_bot_would_be_told_nobody_is_told(tmp_path: Path) -> None:
    async with talking(tmp_path, allow=["fake:*", BOT.id], max_in_flight=1) as talk:
        await talk.ask("One?", person=BOT)
        await talk.ask("Two?", person=BOT, thread="t2")
        await talk.quiet()
        assert talk.visible(thread="t2") == talk.whispers(BOT) == []

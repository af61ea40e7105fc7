"""Whoever watches sees the newest state, however slowly they read, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import gc
from datetime import timedelta

import pytest

from bot.chats import AnswerGrew, ChatChanged, ChatEvent, ChatForgotten, ChatWatch, TurnChanged
from bot.errors import StorageError
from bot.stored import StoredAnswer
from tests.bot.chat.page import ADA, Page
from tests.bot.talk import Talk


def num_watches(talk: Talk) -> float:
    return talk.metrics.registry.get_sample_value("parley_chat_watches") or 0.0


async def rest(talk: Talk, watch: ChatWatch) -> list[ChatEvent]:
    """What there is to read until nothing is."""
    events: list[ChatEvent] = []
    while True:
        reading = asyncio.ensure_future(anext(aiter(watch)))
        await talk.clock.settle()
        if not reading.done():
            reading.cancel()
            return events
        events.append(reading.result())


async def test_a_slow_reader_gets_the_newest_state_once(talk: Talk, page: Page) -> None:
    turn = await page.ask("Count.")
    generation = await page.led()
    watch = page.port.watch(ADA, page.chat_id)
    for number in range(1_000):
        generation.say(f"{number} ")
    await page.sees(turn.id, generation.text)
    (event,) = await rest(talk, watch)
    assert isinstance(event, AnswerGrew)
    assert event.growing.reply == generation.text
    generation.finish()
    await page.shows(turn.id)
    events = await rest(talk, watch)
    assert {type(each) for each in events} == {TurnChanged, ChatChanged}
    assert len(events) == 2
    watch.close()


async def test_a_slow_reader_of_many_answers_gets_each_turn_once(talk: Talk, page: Page) -> None:
    await page.answered("0?", "0")
    watch = page.port.watch(ADA, page.chat_id)
    for number in range(1, 4):
        await page.answered(f"{number}?", f"{number}")
    events = await rest(talk, watch)
    turns = [each.turn for each in events if isinstance(each, TurnChanged)]
    assert [turn.answers[0].reply for turn in turns] == ["1", "2", "3"]
    assert len(events) == 4, "and the chat once"
    watch.close()


async def test_an_answer_that_has_just_begun_is_told_once(talk: Talk, page: Page) -> None:
    turn = await page.answered("Count.", "0")
    watch = page.port.watch(ADA, page.chat_id)
    await page.port.retry(ADA, turn.id)
    generation = await page.led()
    generation.say("1 2")
    await page.sees(turn.id, "1 2")
    events = await rest(talk, watch)
    assert {type(each) for each in events} == {TurnChanged, ChatChanged}
    (now,) = [each.turn for each in events if isinstance(each, TurnChanged)]
    assert now.growing is not None
    assert now.growing.reply == "1 2"
    watch.close()


async def test_who_gives_up_waiting_misses_nothing(talk: Talk, page: Page) -> None:
    await page.answered("One?", "1")
    watch = page.port.watch(ADA, page.chat_id)
    reading = asyncio.ensure_future(anext(aiter(watch)))
    await talk.clock.settle()
    page.port._watches.changed_chat(ADA.place(page.chat_id or ""))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    reading.cancel()  # while the summary is looked up
    assert [type(each) for each in await rest(talk, watch)] == [ChatChanged]
    watch.close()


async def test_a_watch_that_is_closed_leaves_nothing_behind(talk: Talk, page: Page) -> None:
    assert num_watches(talk) == 0
    await page.answered("One?", "1")
    assert num_watches(talk) == 1
    watch = page.port.watch(ADA, page.chat_id)
    reading = asyncio.ensure_future(anext(aiter(watch)))
    await talk.clock.settle()
    assert num_watches(talk) == 2
    watch.close()
    with pytest.raises(StopAsyncIteration):
        await reading
    watch.close()
    assert num_watches(talk) == 1
    page.close()
    assert num_watches(talk) == 0
    talk.generator.replies.append("2")
    await page.port.ask(ADA, page.chat_id, "Two?")
    await talk.quiet()
    assert [each.num_turns for each in await page.port.chats(ADA)] == [2], "nobody was told"


async def test_a_watch_that_nobody_holds_any_more_is_gone(talk: Talk, page: Page) -> None:
    watch = page.port.watch(ADA, None)
    reading = asyncio.ensure_future(anext(aiter(watch)))
    del watch
    await talk.clock.settle()
    assert num_watches(talk) == 1
    reading.cancel()
    await asyncio.wait([reading])
    del reading
    gc.collect()
    assert num_watches(talk) == 0


async def test_a_forgotten_chat_goes_from_every_list(talk: Talk, page: Page) -> None:
    await page.answered("My secret is 42.", "Aye.")
    await page.ask("Again?")
    generation = await page.led()
    watch = page.port.watch(ADA, page.chat_id)
    await page.port.forget_chat(ADA, page.chat_id)
    await talk.until(lambda: page.chat_id not in page.chats)
    assert generation.is_cancelled
    assert await rest(talk, watch) == [ChatForgotten(page.chat_id or "")]
    assert not await page.port.chats(ADA)
    watch.close()


async def test_the_page_is_told_of_what_the_disk_refused_once_it_takes_it(
    talk: Talk, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn = await page.ask("Who are you?")
    generation = await page.led()
    end_answer = talk.store.end_answer
    refusals = [StorageError("full"), StorageError("full")]

    async def refusing(turn_id: str, ended: StoredAnswer) -> int:
        if refusals:
            raise refusals.pop()
        return await end_answer(turn_id, ended)

    monkeypatch.setattr(talk.store, "end_answer", refusing)
    generation.say("Parley.")
    generation.finish()
    await talk.until(lambda: len(refusals) == 1)
    await talk.clock.settle()
    growing = page.turns[turn.id].growing
    assert growing is not None
    assert growing.reply == "Parley."
    assert (await page.shows(turn.id)).reply == "Parley."


async def test_who_watches_a_chat_that_grew_too_old_is_told(talk: Talk, page: Page) -> None:
    await page.answered("Hello?", "Hi.")
    watch = page.port.watch(ADA, page.chat_id)
    (place,) = await talk.store.outdated(talk.clock.now() + timedelta(days=1))
    await talk.store.prune(talk.clock.now() + timedelta(days=1))
    await talk.service.let_go(place)
    assert await rest(talk, watch) == [ChatForgotten(place.thread)]
    watch.close()

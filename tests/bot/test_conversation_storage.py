"""A disk that takes nothing for a while costs nobody an answer that they have read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.errors import DataError, StorageError
from bot.stored import Turn, TurnState
from tests.bot.talk import Talk, locked, place, talking


@pytest.fixture
async def talk(tmp_path: Path) -> AsyncIterator[Talk]:
    async with talking(tmp_path, busy_timeout=0.05) as talk:
        yield talk


async def test_an_answer_that_stands_in_the_chat_stays_though_it_cannot_be_written_down(
    talk: Talk, tmp_path: Path
) -> None:
    question = await talk.ask("How are you?")
    generation = await talk.generation()
    generation.say("Fi")
    await talk.sees("Fi")
    with locked(tmp_path):
        generation.say("ne.")
        generation.finish()
        await talk.sees("Fine.")
        await talk.quiet()
        assert talk.visible() == ["Fine."]
    turn = await talk.ended(question)
    assert (turn.state, turn.reply) == (TurnState.DONE, "Fine.")
    assert talk.visible() == ["Fine."]


async def test_a_defect_after_an_answer_was_shown_does_not_replace_it_either(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    question = await talk.ask("How are you?")
    generation = await talk.generation()

    async def broken(*_: object, **__: object) -> None:
        raise TypeError("a defect")

    with monkeypatch.context() as defect:
        defect.setattr(talk.store, "finish", broken)
        generation.say("Fine.")
        generation.finish()
        await talk.sees("Fine.")
        await talk.quiet()
    assert (await talk.ended(question)).reply == "Fine."
    assert talk.visible() == ["Fine."]


async def test_who_cannot_be_answered_reads_why_and_nothing_of_the_server(
    talk: Talk, tmp_path: Path
) -> None:
    await talk.ask("One?")
    first = await talk.generation()
    second = await talk.ask("Two?")
    with locked(tmp_path):
        first.say("First.")
        first.finish()
        sentence = (
            "I cannot get at my memory of conversations at the moment; please ask again in a "
            "minute. Say `retry` to try again."
        )
        await talk.sees("First.", sentence)
    assert (await talk.ended(second)).state is TurnState.FAILED
    talk.generator.replies.append("Second.")
    await talk.ask("retry")
    await talk.sees("First.", "Second.")


async def test_an_end_that_is_late_does_not_overwrite_the_answer_to_an_edited_question(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish, failures = talk.store.finish, [StorageError("The disk failed.")]
    question = await talk.ask("Wy?")
    generation = await talk.generation()

    async def finish_late(*args: object, **kwargs: object) -> None:
        if failures:
            failures.pop()
            await talk.edit(question, "Why?")
            raise StorageError("The disk failed.")
        await finish(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(talk.store, "finish", finish_late)
    generation.say("What?")
    generation.finish()
    again = await talk.generation()
    await talk.clock.advance(15)
    assert not (await talk.turn(question)).state.is_finished
    again.say("Because.")
    again.finish()
    assert (await talk.ended(question)).reply == "Because."
    assert talk.visible() == ["Because."]


async def test_what_cannot_be_read_at_the_start_refuses_it_and_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unreadable() -> list[Turn]:
        raise StorageError("The disk failed at data/parley.db; check the disk.")

    async with talking(tmp_path, busy_timeout=0.05) as talk:
        monkeypatch.setattr(talk.store, "unfinished", unreadable)
        with pytest.raises(DataError, match=r"failed at data/parley\.db"):
            await talk.service.start()


async def test_parley_stops_in_order_though_nothing_can_be_put_back(
    talk: Talk, tmp_path: Path
) -> None:
    await talk.ask("How are you?")
    await talk.generation()
    hurrying = asyncio.Event()
    hurrying.set()
    with locked(tmp_path):
        await talk.service.drain(1.0, hurrying)
    assert [each.attempts for each in await talk.store.turns(place())] == [1]

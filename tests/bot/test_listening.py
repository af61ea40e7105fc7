"""Channels in which nobody needs to mention Parley."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot.turns.commands import HEARD, NOT_HEARD
from bot.types import Question
from tests.bot.talk import ADA, BOB, BOSS, Talk, place, talking


@pytest.fixture
async def talk(tmp_path: Path) -> AsyncIterator[Talk]:
    async with talking(tmp_path) as talk:
        yield talk


async def written(talk: Talk, text: str, thread: str = "t9", **more: Any) -> Question:
    """Somebody begins a thread in the channel, and mentions nobody."""
    return await talk.ask(text, thread=thread, is_mention=False, begins_thread=True, **more)


async def test_only_an_admin_makes_it_listen(talk: Talk) -> None:
    await talk.ask("listen on")
    await talk.until(lambda: talk.whispers(ADA) == ["Only an admin can decide that."])
    assert not talk.service.listens(place())
    await talk.ask("listen on", person=BOSS)
    await talk.sees(HEARD)
    assert talk.service.listens(place("elsewhere"))
    assert not talk.service.listens(place(channel="C2"))


async def test_everybody_may_ask_whether_it_listens(talk: Talk) -> None:
    await talk.ask("listen")
    await talk.sees(NOT_HEARD)
    await talk.ask("listen on", person=BOSS)
    await talk.ask("listen")
    await talk.sees(NOT_HEARD, HEARD, HEARD)


async def test_where_it_listens_a_message_is_answered_without_a_mention(talk: Talk) -> None:
    await talk.ask("listen on", person=BOSS)
    talk.generator.replies.append("It is blue.")
    await talk.ended(await written(talk, "What colour is the sky?", person=BOB))
    assert talk.visible("t9") == ["It is blue."]
    await talk.answered("And the sea?", "Green.", thread="t9", is_mention=False)


async def test_a_message_to_somebody_else_is_no_question_there_and_nothing_is_kept(
    talk: Talk,
) -> None:
    await talk.ask("listen on", person=BOSS)
    await written(talk, "@Bob lunch?", mentions_others=True)
    await talk.quiet()
    assert not talk.generator.generations
    await talk.answered("So?", "What?", thread="t9")
    assert "lunch" not in talk.generator.generations[0].question


async def test_elsewhere_and_once_it_listens_no_more_nothing_is_answered_or_kept(
    talk: Talk,
) -> None:
    await talk.ask("listen on", person=BOSS)
    await written(talk, "What is a turn?", channel="C2")
    await talk.ask("listen off", person=BOSS)
    await talk.sees(HEARD, NOT_HEARD)
    await written(talk, "What is a turn?")
    await talk.quiet()
    assert not talk.generator.generations
    assert not await talk.store.threads(ADA.id)


async def test_it_still_listens_after_a_restart(tmp_path: Path) -> None:
    async with talking(tmp_path) as talk:
        await talk.ask("listen on", person=BOSS)
    async with talking(tmp_path) as talk:
        assert talk.service.listens(place())
        talk.generator.replies.append("Yes.")
        await talk.ended(await written(talk, "Are you there?"))


async def test_words_of_command_need_no_mention_there_either(talk: Talk) -> None:
    await talk.ask("listen on", person=BOSS)
    await written(talk, "status")
    await talk.until(lambda: bool(talk.visible("t9")))


async def test_a_message_without_words_is_passed_over_there(talk: Talk) -> None:
    await talk.ask("listen on", person=BOSS)
    await asyncio.gather(written(talk, "  "), written(talk, ""))
    await talk.quiet()
    assert talk.whispers(ADA) == []
    assert talk.visible("t9") == []

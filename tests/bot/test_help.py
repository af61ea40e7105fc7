"""Each sentence about what can be said is true where it is read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.turns.commands import NO_MENTION, NOBODY_ELSE
from tests.bot.talk import BOSS, Talk, place, talking


@pytest.fixture
async def talk(tmp_path: Path) -> AsyncIterator[Talk]:
    async with talking(tmp_path) as talk:
        yield talk


@pytest.mark.parametrize("words", ["listen", "listen on", "listen off"])
async def test_alone_with_parley_nobody_needs_it_to_listen(talk: Talk, words: str) -> None:
    await talk.ask(words, is_direct=True, person=BOSS)
    await talk.sees(NO_MENTION)
    assert not talk.service.listens(place())


async def test_alone_with_parley_there_is_nothing_to_catch_up_with(talk: Talk) -> None:
    await talk.ask("catch up", is_direct=True)
    await talk.sees(NOBODY_ELSE)


async def test_help_names_a_channels_words_in_channels_only(talk: Talk) -> None:
    await talk.ask("help")
    await talk.until(lambda: bool(talk.visible()))
    await talk.ask("help", thread="t2", is_direct=True)
    await talk.until(lambda: bool(talk.visible("t2")))
    for words in ("`listen on`", "`personality NAME channel`"):
        assert words in talk.visible()[0]
        assert words not in talk.visible("t2")[0]
    assert "in this conversation" in talk.visible("t2")[0]

"""A question whose sender never heard that it had arrived, and which comes again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bot.chats import Upload
from bot.errors import UnknownChat
from tests.bot.chat.page import ADA, BOB, Page, soon
from tests.bot.talk import Talk

NOTES = Upload("notes.txt", "text/plain", b"The secret is 42.")


async def test_it_is_answered_once(talk: Talk, page: Page) -> None:
    first = await page.answered("Hello?", "Hi.", key="k1")
    again = await page.ask("Hello?", key="k1")
    assert (again.id, again.answers) == (first.id, first.answers)
    (chat,) = await page.port.chats(ADA)
    assert (chat.id, chat.num_turns, len(talk.generator.generations)) == (page.chat_id, 1, 1)
    second = await page.answered("Hello?", "Hi again.", key="k2")
    assert second.number == 2


async def test_a_new_chat_is_begun_once_though_both_come_at_once(
    talk: Talk, page: Page, tmp_path: Path
) -> None:
    asking = [page.port.ask(ADA, None, "Hello?", files=[NOTES], key="k1") for _ in range(3)]
    found = await soon(talk, asyncio.gather(*asking))
    assert len({(chat, turn.id) for chat, turn in found}) == 1
    await page.open(found[0][0])
    (await page.led()).finish()
    await page.shows(found[0][1].id)
    assert len(await page.port.chats(ADA)) == 1
    assert not [each for each in (tmp_path / "uploads").rglob("*") if each.is_file()]


async def test_keys_of_others_are_theirs(talk: Talk, page: Page) -> None:
    mine = await page.answered("Hello?", "Hi.", key="k1")
    other = Page(talk, BOB)
    theirs = await other.answered("Hello?", "Hi Bob.", key="k1")
    assert mine.id != theirs.id
    other.close()


async def test_what_is_forgotten_is_not_asked_again(page: Page) -> None:
    await page.answered("Hello?", "Hi.", key="k1")
    await page.port.forget_chat(ADA, page.chat_id)
    with pytest.raises(UnknownChat):
        await page.port.ask(ADA, None, "Hello?", key="k1")
    assert not await page.port.chats(ADA)

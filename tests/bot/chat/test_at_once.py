"""What people do in two tabs at the same moment."""

from __future__ import annotations

import asyncio
import logging

import pytest

from bot.errors import UnknownChat
from tests.bot.chat.page import ADA, Page, soon
from tests.bot.talk import Talk


async def test_a_question_that_comes_while_its_chat_is_forgotten_goes_with_it(
    talk: Talk, page: Page, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    for _ in range(3):
        page.close()
        page.chat_id = None
        await page.answered("Hello?", "Hi.")
        asking = page.port.ask(ADA, page.chat_id, "More?")
        forgetting = page.port.forget_chat(ADA, page.chat_id)
        both = asyncio.gather(asking, forgetting, return_exceptions=True)
        asked, forgotten = await soon(talk, both)
        assert forgotten is None
        assert isinstance(asked, UnknownChat | tuple)
        await talk.until(lambda: not talk.service._turns.queues._live)
        assert not await page.port.chats(ADA)
    assert [record.getMessage() for record in caplog.records] == []

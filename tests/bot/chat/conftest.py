"""A running Parley, and a page of Ada's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.bot.chat.page import Page, watch_files
from tests.bot.talk import StageClock, Talk, talking


@pytest.fixture
async def talk(tmp_path: Path) -> AsyncIterator[Talk]:
    clock = StageClock()
    async with talking(tmp_path, clock=clock) as talk:
        watch_files(clock, talk)
        yield talk


@pytest.fixture
async def page(talk: Talk) -> AsyncIterator[Page]:
    page = Page(talk)
    yield page
    page.close()

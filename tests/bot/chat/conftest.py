"""A running Parley, and a page of Ada's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.bot.chat.page import Page
from tests.bot.talk import Talk, talking


@pytest.fixture
async def talk(tmp_path: Path) -> AsyncIterator[Talk]:
    async with talking(tmp_path) as talk:
        yield talk


@pytest.fixture
async def page(talk: Talk) -> AsyncIterator[Page]:
    page = Page(talk)
    yield page
    page.close()

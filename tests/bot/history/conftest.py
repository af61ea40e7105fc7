"""A real store on a real file, for the tests beside this one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.history import SqlThreadStore
from tests.bot.new_database import open_new_store
from tests.fakes.clock import FakeClock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "parley.db"


@pytest.fixture
async def sql_store(path: Path) -> AsyncIterator[SqlThreadStore]:
    store = await open_new_store(path, FakeClock(), busy_timeout=0.05)
    yield store
    await store.close()

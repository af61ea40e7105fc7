"""What one question in Slack enters: Parley as it runs, with the embedded model, traced."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from bot.app import App
from bot.config import load_settings
from bot.stored import TurnState
from tests.fakes.slack import SECRET, TOKEN, FakeSlack
from tests.fakes.slack_api import BOT
from tests.ports import free_port
from tests.shape.sources import PACKAGES, ROOT

_QUESTION = f"<@{BOT}> Name the capital of France."
_LIMIT_SECONDS, _POLL_SECONDS = 60.0, 0.05
_DONE = TurnState.DONE.value
_OURS = tuple(f"{ROOT / package}/" for package in PACKAGES)
_PERIODIC = {"parley-prune", "parley-personalities", "parley-lag"}
"""Tasks of ``bot.app`` that run by the clock, whether or not somebody asks."""
_NOT_FUNCTIONS = ("<module>", "<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>")


@dataclass
class Walk:
    """``before_ack``: files in the order in which the event loop entered their functions."""

    entered: set[tuple[str, str, int]] = field(default_factory=set)
    before_ack: list[str] = field(default_factory=list)
    is_acknowledged: bool = False
    _is_on: bool = False

    @property
    def num_files(self) -> int:
        return len({file for file, _, _ in self.entered})

    @property
    def num_functions(self) -> int:
        return len(self.entered)

    @property
    def num_switches(self) -> int:
        return sum(one != other for one, other in pairwise(self.before_ack))

    def note(self, frame: FrameType, event: str, _: Any) -> None:
        """A profile function."""
        if self._is_on and event == "call":
            self._enter(frame.f_code)

    def _enter(self, code: CodeType) -> None:
        if not code.co_filename.startswith(_OURS) or code.co_name in _NOT_FUNCTIONS:
            return
        if _is_periodic():
            return
        self.entered.add((code.co_filename, code.co_qualname, code.co_firstlineno))
        if not self.is_acknowledged and threading.current_thread() is threading.main_thread():
            self.before_ack.append(code.co_filename)

    @contextmanager
    def taken(self) -> Iterator[None]:
        """In this thread, and in those that began with ``note`` as their profile function."""
        self._is_on = True
        sys.setprofile(self.note)
        try:
            yield
        finally:
            sys.setprofile(None)
            self._is_on = False


def _is_periodic() -> bool:
    with suppress(RuntimeError):  # no event loop runs in this thread
        task = asyncio.current_task()
        return task is not None and task.get_name() in _PERIODIC
    return False


async def walk() -> Walk:
    """From the signed event to the row of the finished reply; start and end are left out."""
    found = Walk()
    threading.setprofile(found.note)  # before any thread of Parley's begins
    try:
        async with FakeSlack() as slack, AsyncExitStack() as stack:
            with tempfile.TemporaryDirectory() as folder:
                await _start(slack, Path(folder), stack)
                await _ask(slack, Path(folder), found)
                await stack.aclose()
    finally:
        threading.setprofile(None)
    return found


async def _start(slack: FakeSlack, folder: Path, stack: AsyncExitStack) -> None:
    port = free_port()
    environ = {
        "PARLEY_DATA_DIR": str(folder),
        "PARLEY_PORT": str(port),
        "PARLEY_OPTIMIZE": "off",
        "PARLEY_MAX_TOKENS": "24",
        "SLACK_BOT_TOKEN": TOKEN,
        "SLACK_SIGNING_SECRET": SECRET,
        "SLACK_API_URL": slack.api_url,
    }
    await App(load_settings(environ, ROOT), stack).start()
    slack.events_url = f"http://127.0.0.1:{port}/slack/events"


async def _ask(slack: FakeSlack, folder: Path, found: Walk) -> None:
    with found.taken():
        await slack.say(_QUESTION)
        found.is_acknowledged = True
        async with asyncio.timeout(_LIMIT_SECONDS):
            while not _is_done(folder / "parley.db"):  # noqa: ASYNC110 - seen from outside
                await asyncio.sleep(_POLL_SECONDS)


def _is_done(database: Path) -> bool:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return connection.execute("SELECT state FROM turns").fetchall() == [(_DONE,)]

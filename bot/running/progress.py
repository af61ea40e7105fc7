"""Shows how a download goes: a bar in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from asyncio import CancelledError
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from rich.console import Console

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_MIB = 1 << 20
_SECONDS = 15.0
"""Between two lines."""


class Downloaded(Protocol):
    """What is being downloaded; see ``bot.inference.hub.client.FoundModel``."""

    @property
    def num_bytes(self) -> int: ...
    @property
    def title(self) -> str: ...


class DownloadStopped(Exception):
    """Nobody waits for the download any more."""


class DownloadShow:
    """Enter it around one download; ``say`` prints a line. May be told from any thread.

    After it was left, ``advance`` raises ``DownloadStopped``.
    """

    def __init__(
        self,
        say: Callable[[str], None],
        console: Console,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._say = say
        self._console = console
        self._now = now
        self._bar: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._said_at = 0.0
        self._is_over = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_over = True
        if self._bar:
            self._bar.stop()  # the cursor is back
        if kind and issubclass(kind, CancelledError | KeyboardInterrupt):
            self._say("stopped; what came is kept, and the next time goes on with it")

    def begin(self, found: Downloaded) -> None:
        self._say(f"downloading {found.title}, {found.num_bytes / _MIB:,.0f} MiB ...")
        self._said_at = self._now()
        if self._console.is_terminal:
            self._bar = _bar(self._console)
            self._bar.start()

    def advance(self, name: str, done: int, total: int) -> None:
        if self._is_over:
            raise DownloadStopped
        if self._bar:
            if name not in self._tasks:
                self._tasks[name] = self._bar.add_task(name, total=total)
            self._bar.update(self._tasks[name], completed=done)
        elif self._now() - self._said_at >= _SECONDS:
            self._said_at = self._now()
            self._say(f"{name}: {done / total:.0%} of {total / _MIB:,.0f} MiB")


def _bar(console: Console) -> Progress:
    """Its import takes time that a start without a download does not have."""
    from rich import progress

    return progress.Progress(
        progress.TextColumn("  {task.description}", markup=False),
        progress.BarColumn(),
        progress.DownloadColumn(binary_units=True),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
        console=console,
    )


def on_stderr() -> DownloadShow:
    """For commands, whose output is for programs."""
    console = Console(stderr=True, highlight=False)
    return DownloadShow(lambda text: console.print(text, markup=False, soft_wrap=True), console)

"""How far many questions are."""

from __future__ import annotations

from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class AnsweredBar:
    """On stderr, where a person sees it."""

    def __init__(self, num: int, num_done: int = 0) -> None:
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        self._progress = Progress(
            *columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal
        )
        self._task = self._progress.add_task("Answered", total=num, completed=num_done)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def advance(self, num_failed: int) -> None:
        failed = f", {num_failed:,} failed" if num_failed else ""
        self._progress.update(self._task, advance=1, description=f"Answered{failed}")

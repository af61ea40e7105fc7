"""SIGUSR2: what every thread and every task is doing goes to the log. No values, no text."""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import logging
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import IO, Any

logger = logging.getLogger(__name__)


@contextmanager
def stacks_on_signal() -> Iterator[None]:
    """The threads are looked at the moment the signal comes, though the event loop be blocked;
    they are logged with the tasks as soon as it is not.
    """
    loop = asyncio.get_running_loop()
    with tempfile.TemporaryFile(buffering=0) as threads:
        loop.add_signal_handler(signal.SIGUSR2, _log, threads)
        faulthandler.register(signal.SIGUSR2, threads, all_threads=True, chain=True)
        try:
            yield
        finally:
            faulthandler.unregister(signal.SIGUSR2)
            loop.remove_signal_handler(signal.SIGUSR2)


def _log(threads: IO[bytes]) -> None:
    threads.seek(0)
    seen = threads.read().decode(errors="replace")
    threads.seek(0)
    threads.truncate()
    tasks = sorted(asyncio.all_tasks(), key=asyncio.Task.get_name)
    shown = "\n\n".join(map(_describe, tasks))
    logger.warning("the stacks of all threads and tasks:\n%s\n%s", seen, shown)


def _describe(task: asyncio.Task[Any]) -> str:
    lines = [f"Task {task.get_name()} (most recent call first):"]
    frames = list(_frames(task.get_coro()))
    lines += [
        f'  File "{frame.f_code.co_filename}", line {frame.f_lineno} in {frame.f_code.co_name}'
        for frame in reversed(frames)
    ]
    return "\n".join(lines)


def _frames(waiting: Any) -> Iterator[FrameType]:
    """From a coroutine to what it awaits, and so on, as long as these are Python's own.

    A step of an async generator does not tell of which; the garbage collector does.
    """
    while waiting is not None:
        if (kind := _kind(waiting)) is None:
            waiting = next(filter(_kind, gc.get_referents(waiting)), None)
            continue
        if (frame := getattr(waiting, f"{kind}_frame")) is not None:
            yield frame
        waiting = getattr(waiting, "gi_yieldfrom" if kind == "gi" else f"{kind}_await")


def _kind(waiting: Any) -> str | None:
    """Coroutine, generator or async generator, as their attributes begin."""
    return next((kind for kind in ("cr", "gi", "ag") if hasattr(waiting, f"{kind}_frame")), None)

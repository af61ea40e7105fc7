"""A Python program whose event loop is watched: ``callbacks REPORT MODULE [ARGUMENT …]``.

Every callback's thread CPU time is taken; at the end the long ones are written to REPORT as
JSON. CPU time and not wall time: what other processes or the GIL's other users take from the
thread is not the callback's fault.
"""

from __future__ import annotations

import asyncio
import gc
import json
import runpy
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

MIN_KEPT = 0.002
"""Seconds; shorter callbacks are counted and not kept."""


@dataclass(frozen=True, slots=True)
class Callback:
    """``at`` is ``time.monotonic`` at its start; ``gc``: CPU seconds of it that collected."""

    name: str
    at: float
    cpu: float
    wall: float
    gc: float


class Watch:
    def __init__(self) -> None:
        self.kept: list[Callback] = []
        self.num_callbacks = 0
        self._collecting = 0.0

    def install(self) -> None:
        """Every callback and every step of a task comes through ``Handle._run``."""
        run = asyncio.Handle._run

        def timed_run(handle: asyncio.Handle) -> None:
            name = _task_of(handle)
            at, collecting, begun = time.monotonic(), self._collecting, time.thread_time()
            run(handle)
            cpu = time.thread_time() - begun
            self.num_callbacks += 1
            if cpu >= MIN_KEPT:
                wall = time.monotonic() - at
                spent = self._collecting - collecting
                self.kept.append(Callback(_name(handle, name), at, cpu, wall, spent))

        asyncio.Handle._run = timed_run  # type: ignore[assignment, method-assign]
        gc.callbacks.append(self._note_collection)

    def report(self) -> dict[str, Any]:
        return {"num_callbacks": self.num_callbacks, "kept": list(map(asdict, self.kept))}

    def _note_collection(self, phase: str, _: dict[str, int]) -> None:
        sign = -1 if phase == "start" else 1
        self._collecting += sign * time.thread_time()


def _task_of(handle: asyncio.Handle) -> asyncio.Task[Any] | None:
    """Asked before the run: a handle that ran out may have been cleared."""
    owner = getattr(getattr(handle, "_callback", None), "__self__", None)
    return owner if isinstance(owner, asyncio.Task) else None


def _name(handle: asyncio.Handle, task: asyncio.Task[Any] | None) -> str:
    if task is None:
        callback: Any = getattr(handle, "_callback", None)
        return str(getattr(callback, "__qualname__", callback))
    coroutine = task.get_coro()
    where = [f"{Path(f.f_code.co_filename).name}:{f.f_lineno}" for f in task.get_stack(limit=1)]
    name = getattr(coroutine, "__qualname__", str(coroutine))
    return f"{name} up to {where[0]}" if where else f"{name}, its end"


def main(report: Path, module: str, arguments: list[str]) -> None:
    watch = Watch()
    watch.install()
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        report.write_text(json.dumps(watch.report()))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])

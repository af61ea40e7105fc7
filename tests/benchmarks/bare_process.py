"""The bare loops of all layouts, in a process of their own.

OpenMP's threads wait awake only while a process has no more of them than cores; in the engine's
process, those of the loops would slow the engine down, and the engine's the loops.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from threading import Thread

from bot.generation import Sampling
from bot.inference.llama.options import LlamaOptions
from tests.benchmarks.bare import BareLoop, Slice, Weights


class BareProcess:
    """``close`` it after use; it ends when its last slice has ended."""

    def __init__(self) -> None:
        self._pool = ProcessPoolExecutor(1, get_context("spawn"), initializer=_watch)

    async def time(
        self,
        options: LlamaOptions,
        prompt: Sequence[int],
        samplings: Sequence[Sampling],
        seconds: float,
    ) -> Slice:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, _time, options, prompt, samplings, seconds)

    async def keep(self, kept: Sequence[LlamaOptions]) -> None:
        """Give up the contexts of all others."""
        await asyncio.get_running_loop().run_in_executor(self._pool, _keep, kept)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


def _watch() -> None:
    """The child must not outlive a parent that was killed."""
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if parent := parent_process():
        parent.join()
        os._exit(1)


_weights: list[Weights] = []
_open: dict[LlamaOptions, BareLoop] = {}
"""Of the child."""


def _time(
    options: LlamaOptions, prompt: Sequence[int], samplings: Sequence[Sampling], seconds: float
) -> Slice:
    if not _weights:
        _weights.append(Weights(options))
    if options not in _open:
        _open[options] = BareLoop(_weights[0], options)
    return _open[options].time(prompt, samplings, seconds)


def _keep(kept: Sequence[LlamaOptions]) -> None:
    for options in _open.keys() - set(kept):
        _open.pop(options).close()

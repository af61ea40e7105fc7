"""Work that may compute outside the engine's thread: in a thread that ends with it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def apart(do: Callable[[], T]) -> T:
    """What ``do`` gives and raises; blocks until it has ended.

    OpenMP keeps helpers for every thread that ever computed in a team, and loading does where
    weights are laid out anew for the processor (AMX). Once threads and helpers are more than
    the cores, none of them waits awake for the others any more, and a reply takes twice as
    long. The helpers of a thread that ends are gone with it.
    """
    with ThreadPoolExecutor(1, "parley-apart") as thread:
        return thread.submit(do).result()

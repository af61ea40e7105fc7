"""Runs work that computes outside the engine's thread, in a thread that ends with it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def apart(do: Callable[[], T]) -> T:
    """The result of ``do``, or its exception; blocks until it has ended.

    OpenMP keeps helper threads for every thread that ever computed in a team, and loading
    computes where it repacks weights for the processor (AMX). Once threads and helpers
    outnumber the cores, they sleep instead of spinning, and a reply takes twice as long. The
    helpers of a thread end with it.
    """
    with ThreadPoolExecutor(1, "parley-apart") as thread:
        return thread.submit(do).result()

"""Waiting for what another process does: it is looked at until it is so."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any, TypeVar, overload

from tests.scenarios.parley import POLL_SECONDS

PATIENCE = 60.0
"""Seconds; generous, since the machine may be busy and a failing test may take its time."""

T = TypeVar("T")


@overload
async def eventually(look: Callable[[], Awaitable[T | None]], *, what: object = ...) -> T: ...


@overload
async def eventually(look: Callable[[], T | None], *, what: object = ...) -> T: ...


async def eventually(look: Callable[[], Any], *, what: object = "") -> Any:
    """The first thing seen that is true; ``what`` is told if there is none."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    while True:
        seen = look()
        found = await seen if isawaitable(seen) else seen
        if found:
            return found
        assert loop.time() < deadline, f"still {found!r} after {PATIENCE:.0f} s. {what}"
        await asyncio.sleep(POLL_SECONDS)

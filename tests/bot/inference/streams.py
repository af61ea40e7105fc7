"""What the tests of every engine do with a stream, and how they wait for its workers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bot.generation import Delta, Finished
from bot.stream import GenerationStream


async def read(stream: GenerationStream) -> tuple[str, Finished]:
    """The whole answer, without the reasoning, and how it ended."""
    text = ""
    async for event in stream:
        if isinstance(event, Delta):
            text += event.text
        elif isinstance(event, Finished):
            return text, event
    raise AssertionError("the stream ended without Finished")


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):  # the machine may be busy
        while not holds():  # noqa: ASYNC110 - a worker is what is waited for
            await asyncio.sleep(0)

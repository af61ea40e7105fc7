"""A generation's events in batches: all that came since the last look."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from bot.ports import Clock, Generation
from bot.types import GenerationEvent


async def batches(
    generation: Generation, clock: Clock, idle_seconds: float
) -> AsyncGenerator[list[GenerationEvent], None]:
    """Yield what has come, so that a busy or slow moment costs one write, not one per token.

    An empty batch after ``idle_seconds`` in which nothing came. Close it (``aclosing``).
    """
    events: list[GenerationEvent] = []
    wake = asyncio.Event()

    async def read() -> None:
        async for event in generation:
            events.append(event)
            wake.set()

    async def tick() -> None:
        while True:
            await clock.sleep(idle_seconds)
            wake.set()

    reader, ticker = asyncio.create_task(read()), asyncio.create_task(tick())
    reader.add_done_callback(lambda _: wake.set())
    try:
        while events or not reader.done():
            await wake.wait()
            wake.clear()
            batch, events[:] = events.copy(), ()
            if batch or not reader.done():
                yield batch
        await reader
    finally:
        reader.cancel()
        ticker.cancel()
        await asyncio.gather(reader, ticker, return_exceptions=True)

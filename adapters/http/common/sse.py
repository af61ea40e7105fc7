"""The events of generations, gathered for a client that may read slowly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

from bot.generation import GenerationEvent
from bot.ports import Clock, Generation


async def batches(
    generations: Sequence[Generation], clock: Clock, idle_seconds: float
) -> AsyncGenerator[list[tuple[int, GenerationEvent]], None]:
    """Yield all events since the last batch: a slow client costs one write, not one a token.

    With each event comes the index of its generation. Yields an empty batch after
    ``idle_seconds`` without an event. Close it (``aclosing``).
    """
    events: list[tuple[int, GenerationEvent]] = []
    wake = asyncio.Event()

    async def read(index: int, generation: Generation) -> None:
        async for event in generation:
            events.append((index, event))
            wake.set()

    async def tick() -> None:
        while True:
            await clock.sleep(idle_seconds)
            wake.set()

    readers = [asyncio.create_task(read(*numbered)) for numbered in enumerate(generations)]
    ticker = asyncio.create_task(tick())
    for reader in readers:
        reader.add_done_callback(lambda _: wake.set())
    try:
        while events or not all(reader.done() for reader in readers):
            await wake.wait()
            wake.clear()
            batch, events[:] = events.copy(), ()
            if batch or not all(reader.done() for reader in readers):
                yield batch
        for reader in readers:
            await reader
    finally:
        for task in (*readers, ticker):
            task.cancel()
        await asyncio.gather(*readers, ticker, return_exceptions=True)

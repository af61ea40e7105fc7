"""A model with its hands full: so many replies streaming over HTTP, each followed by the next."""

from __future__ import annotations

import asyncio
import itertools
from argparse import Namespace
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from tests.benchmarks.chat_load import Users, filler

NUM_REPLIES = 16
KEY = "of-the-busy-model"
"""For PARLEY_API_KEYS where a webhook is on; else it is not looked at."""

_MAX_TOKENS = 400
_PROMPT_WORDS = 30
_BEGIN_SECONDS = 120.0


@asynccontextmanager
async def busy_model(url: str, num_replies: int = NUM_REPLIES) -> AsyncIterator[None]:
    """Inside, ``num_replies`` stream; entered once each has said its first word."""
    options = Namespace(url=url, model="smollm2", max_tokens=_MAX_TOKENS, key=KEY)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        readers = [_Reader(Users(session, options), number) for number in range(num_replies)]
        tasks = [asyncio.create_task(reader.read_on()) for reader in readers]
        try:
            async with asyncio.timeout(_BEGIN_SECONDS):
                await asyncio.gather(*(reader.begun.wait() for reader in readers))
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


class _Reader:
    def __init__(self, users: Users, number: int) -> None:
        self._users = users
        self._seeds = itertools.count(number * 1000)
        self._name = f"reader {number}"
        self.begun = asyncio.Event()

    async def read_on(self) -> None:
        while True:
            words = filler(next(self._seeds), _PROMPT_WORDS)
            question = {"role": "user", "content": f"Write a long story about {words}"}
            await self._users.ask([question], self._name, self.begun.set)

"""What threads cost in memory: RSS after 50 and 500 of them, and over 2,000 turns."""

from __future__ import annotations

import asyncio
import tempfile
from argparse import Namespace
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import aiohttp
import psutil

from tests.benchmarks import command, counters, servers
from tests.benchmarks.chat_load import Message, Users, filler
from tests.benchmarks.figures import Table, at_most

NUM_FEW, NUM_MANY, NUM_TURNS = 50, 500, 2_000
MAX_MEGABYTES, MAX_GROWTH = 40.0, 8.0
"""``MAX_GROWTH``: what allocators keep back without anything being kept."""
PARKED_BUDGET = "64M"
_AT_ONCE = 8
_MAX_TOKENS = 2
_QUICK_COUNTERS = (counters.SHARED, counters.RESUMED)
_COUNTERS = (counters.SHARED, counters.PARKED, counters.RESTORED_FROM_MEMORY)
"""More threads than fit the pool: they come back from where they are parked."""
_COLUMNS = ("after", "RSS MB", "parked MB", "beside parked MB", "more MB", "expected")
_MEGABYTE = 1e6


@dataclass(frozen=True, slots=True)
class Reading:
    """In bytes; ``saved`` is what Parley keeps on purpose, within its budget."""

    after: str
    cached: float
    saved: float

    @property
    def beside_parked(self) -> float:
        return self.cached - self.saved


@dataclass(frozen=True, slots=True)
class Size:
    num_few: int
    num_many: int
    num_turns: int


FULL, QUICK = Size(NUM_FEW, NUM_MANY, NUM_TURNS), Size(4, 12, 24)


async def measure(quick: bool) -> list[Table]:
    size = QUICK if quick else FULL
    with tempfile.TemporaryDirectory() as folder:
        parley = servers.parley(Path(folder), {"PARLEY_PARKED_MEMORY": PARKED_BUDGET})
        async with parley.started() as pid:
            before = await counters.read(parley.url)
            readings = await _readings(parley.url, psutil.Process(pid), size)
            counted = counters.moved(before, await counters.read(parley.url))
    title = f"Memory: short threads, {PARKED_BUDGET} for parked ones"
    demanded = _QUICK_COUNTERS if quick else _COUNTERS
    failures = counters.unmoved(counted, demanded)
    return [Table(title, _COLUMNS, rows_of(readings), [counters.told(counted, demanded)], failures)]


async def _readings(url: str, process: psutil.Process, size: Size) -> list[Reading]:
    async def read(after: str) -> Reading:
        counted = await counters.read(url)
        saved = counted.get(counters.PARKED_IN_MEMORY, 0.0)
        return Reading(after, process.memory_info().rss, saved)

    options = Namespace(url=url, model="smollm2", max_tokens=_MAX_TOKENS, key=None)
    few, many, half, end = phases(size)
    async with aiohttp.ClientSession() as session:
        people = People(Users(session, options))
        readings = [await read("the start")]
        for turns, after in (
            (few, f"{size.num_few} threads"),
            (many, f"{size.num_many} threads"),
            (half, f"{size.num_turns // 2:,} turns more"),
            (end, f"{size.num_turns:,} turns more"),
        ):
            await people.take_turns(turns)
            readings.append(await read(after))
        return readings


def phases(size: Size) -> list[list[int]]:
    """Whose turn it is, up to each reading. From the last thread to the first and back, so that
    some are still parked and others had to go.
    """
    there = [*range(size.num_many)]
    again = list(islice(cycle([*reversed(there), *there]), size.num_turns))
    half = size.num_turns // 2
    few, many = range(size.num_few), range(size.num_few, size.num_many)
    return [[*few], [*many], again[:half], again[half:]]


class People:
    """One in each thread, under one system prompt; a turn is a few words and a word back."""

    def __init__(self, users: Users) -> None:
        self._users = users
        self._histories: dict[int, list[Message]] = {}

    async def take_turns(self, threads: Iterable[int]) -> None:
        """In the order of ``threads``, some at once."""
        left = iter(threads)
        async with asyncio.TaskGroup() as group:
            for _ in range(_AT_ONCE):
                group.create_task(self._take_turns(left))

    async def _take_turns(self, left: Iterable[int]) -> None:
        for thread in left:
            await self._take_turn(thread)

    async def _take_turn(self, thread: int) -> None:
        history = self._histories.setdefault(thread, [_SYSTEM])
        history.append({"role": "user", "content": f"Say {filler(thread + len(history), 1)}."})
        name = f"thread {thread}"
        reply = await self._users.ask(history, name, thread=name)
        history.append({"role": "assistant", "content": reply.text or "ok"})


_SYSTEM = {"role": "system", "content": f"You repeat words. House rules: {filler(7, 40)}"}


def rows_of(readings: list[Reading]) -> list[tuple[str, ...]]:
    start, few, many, half, end = readings
    more = (many.beside_parked - few.beside_parked) / _MEGABYTE
    growth = (end.beside_parked - half.beside_parked) / _MEGABYTE
    return [
        _row(start, "", ""),
        _row(few, "", ""),
        _row(many, f"{more:.1f}", at_most(round(more, 1), MAX_MEGABYTES)),
        _row(half, "", ""),
        _row(end, f"{growth:.1f}", at_most(round(growth, 1), MAX_GROWTH)),
    ]


def _row(reading: Reading, more: str, expected: str) -> tuple[str, ...]:
    sizes = (reading.cached, reading.saved, reading.beside_parked)
    return (reading.after, *(f"{size / _MEGABYTE:.1f}" for size in sizes), more, expected)


if __name__ == "__main__":
    command.run(measure)

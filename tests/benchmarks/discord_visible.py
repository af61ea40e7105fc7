"""How soon people on Discord see a word that the model has said, under Discord's limits.

The model is scripted: forty words a second for each reply. Discord takes 50 ms for a call and
five message calls in five seconds per channel.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from adapters.discord.adapter import LIMITS
from tests.adapters.discord.talk import Talk, talking
from tests.benchmarks import command
from tests.benchmarks.figures import Table, at_most, percentile
from tests.fakes.discord import FakeDiscord
from tests.fakes.discord_guild import CHANNEL
from tests.fakes.generator import ScriptedGeneration

_COLUMNS = ("replies", "channels", "p50 s", "p95 s", "final after s", "429s", "expected")
_WORDS_PER_SECOND = 40
_LATENCY = 0.05


async def measure(quick: bool) -> list[Table]:
    seconds = 0.5 if quick else 8.0
    counts = (2,) if quick else (1, 8, 20)
    rows = [
        await _measured(count, in_threads, seconds)
        for in_threads in (False, True)
        for count in counts
    ]
    return [Table("Discord: from token to visible", _COLUMNS, rows)]


async def _measured(count: int, in_threads: bool, seconds: float) -> tuple[str, ...]:
    with tempfile.TemporaryDirectory() as folder:
        async with FakeDiscord(bucket=5, bucket_seconds=5.0) as discord:
            discord.latency = _LATENCY
            where = talking(Path(folder), discord, threads=in_threads, limits=LIMITS)
            async with where as talk:
                said, finals = await _replies(talk, count, seconds)
    delays = _delays(discord, said)
    return (
        str(count),
        str(count if in_threads else 1),
        f"{percentile(delays, 0.5):.2f}",
        f"{percentile(delays, 0.95):.2f}",
        f"{max(finals):.2f}",
        str(discord.num_rate_limited),
        at_most(discord.num_rate_limited, 0),
    )


async def _replies(talk: Talk, count: int, seconds: float) -> tuple[dict[str, float], list[float]]:
    """When each word was said, and how long after its last word each reply was complete."""
    said: dict[str, float] = {}
    for number in range(count):
        await talk.discord.ask(f"Question {number}?", channel=CHANNEL)
    generations = [await talk.generation() for _ in range(count)]
    finals = await asyncio.gather(
        *(_speak(talk, each, n, seconds, said) for n, each in enumerate(generations))
    )
    return said, list(finals)


async def _speak(
    talk: Talk, generation: ScriptedGeneration, number: int, seconds: float, said: dict[str, float]
) -> float:
    clock = talk.discord.clock
    for index in range(int(seconds * _WORDS_PER_SECOND)):
        word = f"r{number}w{index}."
        said[word] = clock.monotonic()
        generation.say(f"{word} ")
        await asyncio.sleep(1 / _WORDS_PER_SECOND)
    generation.finish()
    ended = clock.monotonic()
    await talk.discord.until(lambda: any(word in text for _, _, text in talk.discord.shown), 120)
    return clock.monotonic() - ended


def _delays(discord: FakeDiscord, said: dict[str, float]) -> list[float]:
    """Seconds until the first text with a word was there."""
    delays: dict[str, float] = {}
    for at, _, text in discord.shown:
        for word in text.split():
            if word in said:
                delays.setdefault(word, at - said[word])
    return list(delays.values())


if __name__ == "__main__":
    command.run(measure)

"""What the loop guard spares: questions on which the model is known to loop, with and without."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from tests.benchmarks import command, counters, servers
from tests.benchmarks.chat_load import Message, Users
from tests.benchmarks.figures import Row, Table
from tests.bot.inference import replies

MAX_TOKENS, NUM_QUICK = 512, 2
_RECORDED = Path(replies.__file__).parent / "recorded.jsonl"
_SYSTEM: Message = {"role": "system", "content": "You are a helpful AI assistant named Parley."}
_COUNTERS = (counters.LOOPED,)
_COLUMNS = ("loop guard", "looped", "tokens", "seconds", "tokens to unguarded", "seconds")


@dataclass(frozen=True, slots=True)
class Answers:
    """``num_looped`` were ended because they only repeated themselves."""

    num_looped: int
    num_tokens: int
    seconds: float


async def measure(quick: bool) -> list[Table]:
    asked = looping()[: NUM_QUICK if quick else None]
    settings = {"PARLEY_MAX_TOKENS": str(MAX_TOKENS)}
    with tempfile.TemporaryDirectory() as folder:
        guarded = servers.parley(Path(folder) / "on", settings, program=("bot", "run"))
        unguarded = servers.parley(Path(folder) / "off", settings)
        found, counted = {}, dict[str, counters.Counters]()
        for name, server in (("on", guarded), ("off", unguarded)):
            async with server.running() as url:
                found[name], counted[name] = await _ask(url, asked)
    failures = counters.unmoved(counted["on"], _COUNTERS)
    title = f"Loop guard: {len(asked)} questions on which the model was heard to loop"
    note = f"temperature 0, {MAX_TOKENS} tokens at most, all asked at once"
    return [Table(title, _COLUMNS, rows_of(found), [note], failures)]


def looping() -> list[str]:
    """Questions of the recorded replies that loop when nothing is left to chance."""
    lines = map(json.loads, _RECORDED.read_text(encoding="utf-8").splitlines())
    return [
        reply["prompt"]
        for reply in lines
        if reply["label"] == "loop" and reply["sampling"] == {"temperature": 0}
    ]


async def _ask(url: str, questions: list[str]) -> tuple[Answers, counters.Counters]:
    options = Namespace(url=url, model="smollm2", max_tokens=MAX_TOKENS, key=None)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=600)) as session:
        users = Users(session, options)
        begun = time.perf_counter()
        asked = (
            users.ask([_SYSTEM, {"role": "user", "content": text}], f"person {number}")
            for number, text in enumerate(questions)
        )
        said = await asyncio.gather(*asked)
        seconds = time.perf_counter() - begun
    counted = await counters.read(url)
    num_looped = int(counted[counters.LOOPED])
    return Answers(num_looped, sum(reply.tokens for reply in said), seconds), counted


def rows_of(found: Mapping[str, Answers]) -> list[Row]:
    off = found["off"]
    return [
        (
            name,
            str(each.num_looped),
            str(each.num_tokens),
            f"{each.seconds:.1f}",
            f"{each.num_tokens / off.num_tokens:.2f}",
            f"{each.seconds / off.seconds:.2f}",
        )
        for name, each in found.items()
    ]


if __name__ == "__main__":
    command.run(measure)

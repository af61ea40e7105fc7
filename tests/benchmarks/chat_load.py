"""Load an OpenAI-compatible chat endpoint the way a busy chat workspace would.

burst:   C users ask at once, each a different question; time to first token, tokens/s.
threads: T threads of K turns under one shared personality, C in flight; each turn
         carries the whole thread, so what it measures is prefix reuse.
Prints one JSON line. Uses only aiohttp; knows nothing of the server under test.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

_WORDS = (
    "harbour lantern copper meadow signal orchard granite willow engine paper river cloud "
    "market bridge candle forest island mirror needle ocean pocket quarry rocket saddle "
    "timber umbrella valley window yellow zebra anchor basket castle desert eagle flame"
)
WORDS = _WORDS.split()

_SYSTEM = {"role": "system", "content": "You are a helpful assistant."}
_RULES = "You are a concise helper for a large organisation. House rules:"

Message = dict[str, str]
Json = dict[str, Any]


@dataclass(slots=True)
class Reply:
    """What one user saw; times in seconds since the question left, gaps between chunks."""

    ttft: float | None = None
    total: float = 0.0
    chunks: int = 0
    tokens: int = 0
    prompt_tokens: int = 0
    text: str = ""
    gaps: list[float] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    """Characters of each chunk."""

    def take(self, content: str, at: float) -> None:
        if self.ttft is None:
            self.ttft = at
        else:
            self.gaps.append(at - self.total)
        self.total = at
        self.chunks += 1
        self.lengths.append(len(content))
        self.text += content


class Users:
    """``ask`` puts one question and reads the streamed reply to its end."""

    def __init__(self, session: aiohttp.ClientSession, arguments: argparse.Namespace) -> None:
        self._session = session
        self._url = f"{arguments.url}/v1/chat/completions"
        self._headers = {"Authorization": f"Bearer {arguments.key}"} if arguments.key else {}
        self.options = {
            "model": arguments.model,
            "max_tokens": arguments.max_tokens,
            "temperature": 0.0,
            "stream": True,
            "seed": 1,
            "stream_options": {"include_usage": True},
        }

    async def ask(
        self,
        messages: Sequence[Message],
        user: str = "u",
        on_text: Callable[[], None] = lambda: None,
        thread: str | None = None,
    ) -> Reply:
        """``thread`` names the thread to a Parley; other servers do not read it."""
        begun, reply = time.perf_counter(), Reply()
        body = {**self.options, "messages": messages, "user": user}
        named = {"X-Parley-Thread": thread} if thread else {}
        headers = {**self._headers, **named}
        async with self._session.post(self._url, json=body, headers=headers) as answer:
            if answer.status != 200:
                raise RuntimeError(f"{answer.status} {(await answer.text())[:300]}")
            async for event in events(answer):
                usage = event.get("usage") or {}
                reply.tokens = usage.get("completion_tokens") or reply.tokens
                reply.prompt_tokens = usage.get("prompt_tokens") or reply.prompt_tokens
                if content := content_of(event):
                    reply.take(content, time.perf_counter() - begun)
                    on_text()
        reply.total = time.perf_counter() - begun
        reply.ttft = reply.total if reply.ttft is None else reply.ttft
        reply.tokens = reply.tokens or reply.chunks
        return reply


@asynccontextmanager
async def connected(url: str, max_tokens: int, seconds: float = 120) -> AsyncIterator[Users]:
    """``seconds``: those that a reply may take. Each question has a connection of its own."""
    options = argparse.Namespace(url=url, model="smollm2", max_tokens=max_tokens, key=None)
    async with _session(seconds) as session:
        yield Users(session, options)


def _session(seconds: float) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=seconds), connector=connector)


async def events(answer: aiohttp.ClientResponse) -> AsyncIterator[Json]:
    async for line in answer.content:
        if line.startswith(b"data:"):
            data = line[5:].strip()
            if data == b"[DONE]":
                break
            yield json.loads(data)


def content_of(event: Json) -> str:
    choices = event.get("choices") or [{}]
    return choices[0].get("delta", {}).get("content") or ""


def filler(seed: int, num_words: int) -> str:
    chooser = random.Random(seed)  # noqa: S311 - the same words at every run
    return " ".join(chooser.choice(WORDS) for _ in range(num_words))


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def summary(replies: Sequence[Reply], wall: float, extra: Json) -> Json:
    first = [reply.ttft or 0.0 for reply in replies]
    gaps = [gap for reply in replies for gap in reply.gaps]
    tokens = sum(reply.tokens for reply in replies)
    return {
        **extra,
        "n": len(replies),
        "wall_s": round(wall, 3),
        "tokens": tokens,
        "tokens_per_s": round(tokens / wall, 1),
        "ttft_p50": round(statistics.median(first), 4),
        "ttft_p95": round(percentile(first, 0.95), 4),
        "ttft_max": round(max(first), 4),
        "total_p50": round(statistics.median(reply.total for reply in replies), 4),
        "gap_p50": round(percentile(gaps, 0.5), 4),
        "gap_p99": round(percentile(gaps, 0.99), 4),
    }


def burst_messages(seed: int, user: int, prompt_words: int) -> list[Message]:
    words = filler(seed * 1000 + user, prompt_words)
    task = f"Write a story of two hundred words with these words: {words}"
    return [_SYSTEM, {"role": "user", "content": task}]


def opening_of_a_thread() -> list[Message]:
    return [{"role": "system", "content": f"{_RULES} {filler(7, 200)}"}]


def turn_message(seed: int, thread: int, turn: int, prompt_words: int) -> Message:
    words = filler(seed * 100_000 + thread * 100 + turn, prompt_words)
    return {"role": "user", "content": f"Turn {turn}: comment on {words}"}


def order_of_turn(turn: int, num_threads: int) -> list[int]:
    order = list(range(num_threads))
    random.Random(turn).shuffle(order)  # noqa: S311 - the same order at every run
    return order


def by_turn(turns: Sequence[Sequence[Reply]]) -> Json:
    medians = [statistics.median(reply.ttft or 0.0 for reply in turn) for turn in turns]
    return {"ttft_p50_by_turn": [round(median, 4) for median in medians]}


async def burst(users: Users, a: argparse.Namespace) -> Json:
    begun = time.perf_counter()
    asked = (
        users.ask(burst_messages(a.seed, i, a.prompt_words), f"u{i}") for i in range(a.concurrency)
    )
    replies = await asyncio.gather(*asked)
    wall = time.perf_counter() - begun
    return summary(replies, wall, {"scenario": "burst", "c": a.concurrency})


async def threads(users: Users, a: argparse.Namespace) -> Json:
    histories = [opening_of_a_thread() for _ in range(a.threads)]
    free = asyncio.Semaphore(a.concurrency)

    async def take_turn(i: int, turn: int) -> Reply:
        async with free:
            histories[i].append(turn_message(a.seed, i, turn, a.prompt_words))
            reply = await users.ask(histories[i], f"u{i}", thread=f"t{i}" if a.named else None)
            histories[i].append({"role": "assistant", "content": reply.text or "ok"})
            return reply

    begun, turns = time.perf_counter(), []
    for turn in range(a.turns):
        order = order_of_turn(turn, a.threads)
        turns.append(await asyncio.gather(*(take_turn(i, turn) for i in order)))
    wall = time.perf_counter() - begun
    extra = {"scenario": "threads", "c": a.concurrency, "threads": a.threads, "turns": a.turns}
    out = summary([reply for turn in turns for reply in turn], wall, extra)
    return {**out, **by_turn(turns)}


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--scenario", choices=("burst", "threads"), default="burst")
    parser.add_argument("--model", default="m")
    parser.add_argument("-c", "--concurrency", type=int, default=8)
    parser.add_argument("--threads", type=int, default=24)
    parser.add_argument("--turns", type=int, default=4)
    parser.add_argument("--max-tokens", type=int, default=48)
    parser.add_argument("--prompt-words", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--key", default=None)
    parser.add_argument("--label", default="")
    parser.add_argument("--named", action="store_true", help="send X-Parley-Thread, too")
    return parser


async def main() -> None:
    arguments = parser().parse_args()
    scenario = burst if arguments.scenario == "burst" else threads
    async with _session(seconds=600) as session:
        out = await scenario(Users(session, arguments), arguments)
    print(json.dumps({"label": arguments.label, **out}))


if __name__ == "__main__":
    asyncio.run(main())

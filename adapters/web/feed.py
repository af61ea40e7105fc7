"""What one browser has been told of its chats, and what it is told next."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self
from weakref import WeakValueDictionary

from adapters.web.markup.growing import GrowingPage
from adapters.web.shapes import Json
from bot.chats import ChatTurn
from bot.markdown.links import LinkPolicy
from bot.ports import Clock

UPDATE_SECONDS = 0.1
"""Between two updates of an answer that grows; nobody reads faster."""


class SharedPage:
    """The blocks of one answer that grows, made once for all who watch it."""

    def __init__(self, links: LinkPolicy, clock: Clock) -> None:
        self._clock = clock
        self._page = GrowingPage(links)
        self._text = ""
        self._made_at = float("-inf")
        self._making = asyncio.Lock()

    async def blocks(self, text: str, *, is_urgent: bool = False) -> tuple[Sequence[str], bool]:
        """Those of the newest text, and whether ``text`` is in it: if not, ask again soon."""
        async with self._making:
            waited = self._clock.monotonic() - self._made_at
            is_there = self._text.startswith(text)
            if is_there or (waited < UPDATE_SECONDS * 0.9 and not is_urgent):
                return self._page.blocks, is_there
            self._made_at = self._clock.monotonic()
            await asyncio.to_thread(self._page.grow, text)
            self._text = text
            return self._page.blocks, True


class SharedPages:
    """Of all answers that grow and are watched; who watches one holds it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pages: WeakValueDictionary[tuple[str, int], SharedPage] = WeakValueDictionary()

    def of(self, turn_id: str, number: int, links: LinkPolicy) -> SharedPage:
        """Of the answer of that number."""
        found = self._pages.get((turn_id, number))
        if found is None:
            found = self._pages[turn_id, number] = SharedPage(links, self._clock)
        return found


@dataclass(frozen=True, slots=True)
class Seen:
    """The id of an event: what who got it has by then.

    ``settled`` stands for all answers that have ended; of the answer of ``turn_id`` that grows
    ``num`` blocks (of Markdown: characters) are not to change any more, with ``digest``.
    """

    settled: str
    turn_id: str = ""
    num: int = 0
    digest: str = ""

    def __str__(self) -> str:
        return f"{self.settled}:{self.num}:{self.digest}:{self.turn_id}"

    @classmethod
    def of(cls, text: str) -> Self:
        """Who shows what is no id of ours has seen nothing."""
        settled, *rest = text.split(":", 3)
        if len(rest) != 3 or not (rest[0].isascii() and rest[0].isdigit() and len(rest[0]) < 9):
            return cls("")
        return cls(settled, rest[2], int(rest[0]), rest[1])


def digest_of(parts: Iterable[object]) -> str:
    found = hashlib.sha256()
    for part in parts:
        found.update(repr(part).encode("utf-8", "surrogatepass"))
    return found.hexdigest()[:12]


def settled_state(turn: ChatTurn) -> tuple[object, ...] | None:
    """What of the turn is other after another answer, choice or rating; None without one."""
    if not turn.answers:
        return None
    chosen = [(each.state, each.finished_at, len(each.reply), each.rating) for each in turn.answers]
    return (turn.id, turn.question, turn.chosen, chosen)


def num_equal(one: Sequence[str], other: Sequence[str]) -> int:
    """How many parts, or letters, are the same at their beginning."""
    if isinstance(one, str) and isinstance(other, str) and other.startswith(one):
        return len(one)
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))


def event(name: str, data: Json, seen: Seen) -> bytes:
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return f"event: {name}\nid: {seen}\ndata: {text}\n\n".encode("utf-8", "replace")


def unfinished(turns: Iterable[ChatTurn]) -> Iterator[ChatTurn]:
    return (turn for turn in turns if turn.growing or not turn.answers)

"""Who asked when, and how long it took: noted beside the replies, and written a little later."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Mapping

from bot.errors import StorageError, UnknownAnswer
from bot.generation import (
    Delta,
    Finished,
    FinishReason,
    GenerationEvent,
    Reasoning,
    ToolCallDelta,
    Usage,
)
from bot.metrics import Metrics
from bot.ports import Clock
from bot.stored import AnswerUsage, TurnState
from bot.stores import UsageStore
from bot.tasks import TaskSet

logger = logging.getLogger(__name__)
turns_logger = logging.getLogger("bot.turns")

MAX_WAITING = 10_000
"""Rows that wait for the disk at most; more are lost, and counted."""

_WRITE_SECONDS = 0.5
_DISK_POLL_SECONDS = 10.0
_TOKENS = ("prompt", "cached", "completion")
_BATCH = 200
"""Rows of one transaction: a few milliseconds, in which other writes wait."""


class AnswerTimes:
    """A stopwatch, started when a person asks. The engine gets the request at ``submit``."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._started_at = clock.monotonic()
        self._submitted = 0.0
        self.asked_at = clock.now()
        self.queue_seconds: float | None = None
        self.first_token_seconds: float | None = None

    @property
    def seconds(self) -> float:
        return self._clock.monotonic() - self._started_at

    def submit(self) -> None:
        self._submitted = self.seconds

    def hear(self, event: GenerationEvent) -> None:
        """The end may be heard before a first token that came along with it."""
        if isinstance(event, Finished):
            if event.queue_seconds is not None and self.queue_seconds is None:
                self.queue_seconds = self._submitted + event.queue_seconds
            has_begun = event.usage.completion_tokens > 0
        else:
            has_begun = isinstance(event, Delta | Reasoning | ToolCallDelta)
        if has_begun and self.first_token_seconds is None:
            self.first_token_seconds = self.seconds

    def row(
        self,
        answer_id: str,
        *,
        person: str,
        platform: str,
        place: str = "",
        personality: str,
        model: str,
        state: TurnState,
        reason: FinishReason | None,
        usage: Usage,
    ) -> AnswerUsage:
        """The answer ends now."""
        return AnswerUsage(
            answer_id=answer_id,
            asked_at=self.asked_at,
            person=person,
            platform=platform,
            place=place,
            personality=personality,
            model=model,
            state=state,
            finish_reason=reason,
            queue_seconds=self.queue_seconds,
            first_token_seconds=self.first_token_seconds,
            total_seconds=self.seconds,
            usage=usage,
        )


class UsageLog:
    """Rows wait in memory for half a second: a reply never waits for the disk for their sake.

    ``kill -9`` loses what waits. Where the disk fails, rows wait until it takes them.
    """

    def __init__(self, store: UsageStore, clock: Clock, metrics: Metrics) -> None:
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._waiting: deque[AnswerUsage] = deque()
        self._tasks = TaskSet(clock)

    def note(self, row: AnswerUsage) -> None:
        """Also logs the turn in one line, without text and without names of people."""
        facts = _facts(row)
        turns_logger.info("%s", _sentence(facts), extra=facts)
        if len(self._waiting) >= MAX_WAITING:
            self._metrics.usage_lost.inc()
            return
        self._waiting.append(row)
        if not self._tasks:
            self._tasks.spawn(self._write_soon())

    async def vote(self, account: str, answer_id: str, rating: int) -> None:
        """``account``: as ``http:KEY``. Raises ``UnknownAnswer`` and ``StorageError``."""
        await self.write()
        if not await self._store.vote(answer_id, account, rating):
            raise UnknownAnswer(answer_id)

    async def close(self) -> None:
        await self._tasks.cancel()
        try:
            await self.write()
        except StorageError:
            logger.error("%s answers are missing in the usage log", len(self._waiting))

    async def _write_soon(self) -> None:
        pause = _WRITE_SECONDS
        while self._waiting:
            await self._clock.sleep(pause)
            try:
                await self.write()
                pause = _WRITE_SECONDS
            except StorageError:
                pause = _DISK_POLL_SECONDS

    async def write(self) -> None:
        """Now. Shielded: rows that are on their way to the disk are written once."""
        while self._waiting:
            rows = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
            await asyncio.shield(self._add(rows))

    async def _add(self, rows: list[AnswerUsage]) -> None:
        try:
            await self._store.add_usage(rows)
        except StorageError:
            self._waiting.extendleft(reversed(rows))
            raise


def _facts(row: AnswerUsage) -> dict[str, object]:
    """What a log may hold of an answer, under the names of the log's JSON."""
    return {
        "answer": row.answer_id,
        "platform": row.platform,
        "state": row.state.value,
        "reason": row.finish_reason.value if row.finish_reason else None,
        "model": row.model,
        "personality": row.personality,
        "queue_seconds": row.queue_seconds,
        "first_token_seconds": row.first_token_seconds,
        "total_seconds": row.total_seconds,
        "prompt_tokens": row.usage.prompt_tokens,
        "cached_tokens": row.usage.cached_tokens,
        "completion_tokens": row.usage.completion_tokens,
    }


def _sentence(facts: Mapping[str, object]) -> str:
    said = ("answer", "platform", "state", "reason", "model", "personality")
    who = " ".join(str(facts[name]) for name in said if facts[name])
    seconds = {
        name: facts[f"{name}_seconds"]
        for name in ("queue", "first_token", "total")
        if facts[f"{name}_seconds"] is not None
    }
    times = ", ".join(f"{name} {value:.2f} s" for name, value in seconds.items())
    tokens = ", ".join(f"{name} {facts[f'{name}_tokens']}" for name in _TOKENS)
    return f"turn {who}: {times}; tokens: {tokens}"

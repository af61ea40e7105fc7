"""Gathers what whoever runs Parley sees of it: the figures of /metrics, states, and the log."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from bot import __version__
from bot.errors import ParleyError
from bot.metrics import Metrics
from bot.overview import FileFault, MemoryUse, ModelState, Overview, TokenSpeed, UsageSummary
from bot.personality import PersonalityBook
from bot.ports import Clock
from bot.types import AdapterState

Summarise = Callable[[datetime], UsageSummary]

_DAY, _WEEK = timedelta(days=1), timedelta(days=7)
_USAGE_SECONDS = 2.0
"""However many look, the usage log is counted no more often."""
_SAMPLE_SECONDS = 2.0
_NOW, _MINUTE, _QUARTER = 6.0, 60.0, 900.0


class Throughput:
    """How fast replies grow, from the counter of tokens, looked at every two seconds."""

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock
        num_samples = int(_QUARTER / _SAMPLE_SECONDS) + 1
        self._samples: deque[tuple[float, float]] = deque(maxlen=num_samples)

    async def measure(self) -> None:
        while True:
            self._samples.append((self._clock.monotonic(), figures(self._metrics)[_WRITTEN]))
            await self._clock.sleep(_SAMPLE_SECONDS)

    @property
    def speed(self) -> TokenSpeed:
        return TokenSpeed(
            now=self._over(_NOW), minute=self._over(_MINUTE), quarter_hour=self._over(_QUARTER)
        )

    def _over(self, seconds: float) -> float:
        """Over that time, or over as much of it as was measured."""
        if not self._samples:
            return 0.0
        until, written = self._samples[-1]
        since, before = next(each for each in self._samples if each[0] >= until - seconds)
        return (written - before) / (until - since) if until > since else 0.0


_WRITTEN = "parley_completion_tokens_total"


def figures(metrics: Metrics) -> dict[str, float]:
    """What /metrics shows now, by name; of those with labels by ``name value``."""
    return {
        " ".join((sample.name, *sample.labels.values())): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
    }


class Overviews:
    """``model``, ``database`` and ``adapters`` tell how things are at that moment.

    ``summarise`` blocks, and may raise ``ParleyError``.
    """

    def __init__(
        self,
        metrics: Metrics,
        clock: Clock,
        folder: Path,
        *,
        model: Callable[[], ModelState],
        database: Callable[[], Awaitable[Mapping[str, str]]],
        adapters: Callable[[], Sequence[AdapterState]],
        summarise: Summarise,
    ) -> None:
        self.throughput = Throughput(metrics, clock)
        self._metrics = metrics
        self._clock = clock
        self._folder = folder
        self._model = model
        self._database = database
        self._adapters = adapters
        self._summarise = summarise
        self._book: PersonalityBook | None = None
        self._started_at = clock.now()
        self._counted: asyncio.Task[tuple[UsageSummary, UsageSummary, str]] | None = None
        self._counted_at = 0.0

    def watch(self, book: PersonalityBook) -> None:
        self._book = book

    async def read(self) -> Overview:
        now, database = figures(self._metrics), await self._database()
        day, week, problem = await self._usage()
        book = self._book
        return Overview(
            version=__version__,
            at=self._clock.now(),
            started_at=self._started_at,
            model=self._model(),
            database=database["status"],
            database_detail=database.get("detail", ""),
            running=int(now["parley_running_sequences"]),
            waiting=int(now["parley_queue_length"]),
            watching=int(now["parley_chat_watches"]),
            resident_threads=int(now["parley_resident_threads"]),
            speed=self.throughput.speed,
            memory=await asyncio.to_thread(_memory, self._folder, now),
            adapters=tuple(self._adapters()),
            personalities=book.names if book else (),
            faults=_faults(book) if book else (),
            day=day,
            week=week,
            usage_problem=problem,
        )

    async def _usage(self) -> tuple[UsageSummary, UsageSummary, str]:
        now = self._clock.monotonic()
        if self._counted is None or now - self._counted_at >= _USAGE_SECONDS:
            self._counted_at = now
            self._counted = asyncio.create_task(asyncio.to_thread(self._count))
        return await asyncio.shield(self._counted)

    def _count(self) -> tuple[UsageSummary, UsageSummary, str]:
        now = self._clock.now()
        try:
            return self._summarise(now - _DAY), self._summarise(now - _WEEK), ""
        except ParleyError as error:
            return UsageSummary(), UsageSummary(), str(error)


def _faults(book: PersonalityBook) -> tuple[FileFault, ...]:
    return tuple(
        FileFault(file=fault.file.name, line=fault.line, sentence=fault.sentence, since=fault.since)
        for fault in book.faults
    )


def _memory(folder: Path, now: Mapping[str, float]) -> MemoryUse:
    try:
        free_disk = shutil.disk_usage(folder).free
    except OSError:
        free_disk = None
    return MemoryUse(
        process=_kilobytes("/proc/self/status", "VmRSS"),
        free=_kilobytes("/proc/meminfo", "MemAvailable"),
        free_disk=free_disk,
        parked_memory=int(now.get("parley_parked_bytes memory", 0)),
        parked_disk=int(now.get("parley_parked_bytes disk", 0)),
    )


def _kilobytes(file: str, name: str) -> int | None:
    """In bytes; None where the system is not Linux."""
    try:
        found = re.search(rf"^{name}:\s+(\d+) kB", Path(file).read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None

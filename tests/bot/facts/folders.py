"""A folder of facts, and the fact bases that read it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bot.facts.bases import FactBases, index_path
from bot.metrics import Metrics
from bot.source import Source
from bot.types import Personality

SCHOOL = Personality("school", "School", "Answer.", facts="facts")

HANDBOOK = """\
# Handbook

Welcome to the school by the lake.

## Lunch

Lunch is served in the canteen from noon to half past one. A meal costs four euros and is paid
with the card. Who has an allergy tells the kitchen in writing.

## Buses

The yellow bus leaves from the main gate ten minutes after the last lesson. Lost passes are
replaced at the secretary's office for five euros.
"""


class Facts:
    """``folder``: of the facts of ``SCHOOL``. ``told``: what is done before a search."""

    def __init__(self, root: Path) -> None:
        self.personalities = root / "personalities"
        self.folder = self.personalities / "facts"
        self.folder.mkdir(parents=True)
        self.metrics = Metrics()
        self.data_dir = root / "data"
        self.index = index_path(self.data_dir, self.folder)
        self.told: list[str] = []
        self.bases = FactBases(self.personalities, self.data_dir, self.metrics)

    def write(self, name: str, text: str | bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    async def refresh(self) -> None:
        await self.bases.refresh([SCHOOL])

    async def names(self, question: str) -> list[str]:
        return [each.name for each in await self.search(question)]

    async def search(self, question: str, personality: Personality = SCHOOL) -> Sequence[Source]:
        return await self.bases.search(personality, question, self.told.append)

    def counted(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"parley_fact_{name}", labels)


@contextmanager
def facts_in(root: Path) -> Iterator[Facts]:
    facts = Facts(root)
    try:
        yield facts
    finally:
        facts.bases.close()

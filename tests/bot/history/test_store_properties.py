"""Any order of accepting, answering, remarking and forgetting, against a list in memory."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.history import SqlThreadStore, open_store
from bot.types import Place
from tests.contracts.store import ELSEWHERE, HERE, answered, ask
from tests.fakes.clock import FakeClock

PLACES = (HERE, ELSEWHERE)
Step = tuple[str, Place, int]

steps = st.lists(
    st.tuples(
        st.sampled_from(["accept", "answer", "remark", "keep", "forget"]),
        st.sampled_from(PLACES),
        st.integers(0, 6),
    ),
    max_size=25,
)


@dataclass
class Expected:
    """Per thread: the numbers given, the first kept, and what was said since; all keys seen."""

    numbers: dict[Place, list[int]] = field(default_factory=lambda: defaultdict(list))
    first_kept: dict[Place, int] = field(default_factory=lambda: defaultdict(lambda: 1))
    remarks: dict[Place, list[str]] = field(default_factory=lambda: defaultdict(list))
    seen: set[tuple[Place, int]] = field(default_factory=set)
    remarked: set[tuple[Place, int]] = field(default_factory=set)

    def is_new(self, place: Place, message: int) -> bool:
        is_new = (place, message) not in self.seen
        self.seen.add((place, message))
        return is_new

    def is_new_remark(self, place: Place, message: int) -> bool:
        """A remark may be asked later, and a question is no remark any more."""
        is_new = (place, message) not in self.seen | self.remarked
        self.remarked.add((place, message))
        return is_new

    def forget(self, place: Place) -> None:
        self.numbers.pop(place, None)
        self.first_kept.pop(place, None)
        self.remarks.pop(place, None)


async def _take(store: SqlThreadStore, expected: Expected, step: Step) -> None:
    action, place, number = step
    question = ask(str(number), f"message {number}", place=place)
    if action == "forget":
        forgotten = await store.forget(place)
        assert [turn.number for turn in forgotten] == expected.numbers[place]
        expected.forget(place)
    elif action == "keep":
        await store.keep_from(place, number)
        if number <= len(expected.numbers[place]):
            expected.first_kept[place] = number
    elif action == "remark":
        await store.add_remark(question)
        if expected.numbers[place] and expected.is_new_remark(place, number):
            expected.remarks[place].append(question.text)
    elif expected.is_new(place, number):
        await _ask(store, expected, step)
    else:
        assert await store.accept(question) is None


async def _ask(store: SqlThreadStore, expected: Expected, step: Step) -> None:
    action, place, number = step
    question = ask(str(number), f"message {number}", place=place)
    turn = await (answered(store, question) if action == "answer" else store.accept(question))
    assert turn is not None
    assert turn.number == len(expected.numbers[place]) + 1
    remarks = expected.remarks.pop(place, [])
    assert [text for _, text in turn.remarks] == [each for each in remarks if each != turn.text]
    expected.numbers[place].append(turn.number)


async def _scenario(path: Path, scenario: list[Step]) -> None:
    store = await open_store(f"sqlite:///{path}", FakeClock())
    expected = Expected()
    for step in scenario:
        await _take(store, expected, step)
    for place in PLACES:
        numbers = [turn.number for turn in await store.turns(place)]
        kept = expected.first_kept[place]
        assert numbers == [number for number in expected.numbers[place] if number >= kept]
        assert await store.knows(place) == bool(expected.numbers[place])
    await store.close()


@settings(max_examples=30, deadline=None)
@given(steps)
def test_no_order_of_steps_confuses_the_store(scenario: list[Step]) -> None:
    with TemporaryDirectory() as folder:
        asyncio.run(_scenario(Path(folder) / "parley.db", scenario))

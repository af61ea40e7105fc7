"""What runs beside the conversations, on a clock that is turned by hand."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from bot.errors import StorageError
from bot.metrics import Metrics
from bot.personality import PersonalityBook
from bot.prompt import check_prompts
from bot.running.maintenance import measure_lag, prune, reread_personalities
from bot.stores import ThreadStore
from bot.types import Personality, Place
from tests.bot.talk import StageClock, TalkClock, book, open_test_store
from tests.contracts.store import accepted, answered, ask
from tests.fakes.clock import START, FakeClock
from tests.fakes.generator import ScriptedGenerator

HERE = Place("slack", "T1", "C1", "1700.1")
DAY = 86_400.0


@asynccontextmanager
async def running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.wait([task])


@pytest.fixture
async def clock() -> TalkClock:
    return TalkClock()


@pytest.fixture
async def store(tmp_path: Path, clock: TalkClock) -> AsyncIterator[ThreadStore]:
    store = await open_test_store(tmp_path, clock)
    yield store
    await store.close()


async def test_turns_older_than_the_retention_go_and_younger_ones_stay(
    store: ThreadStore, clock: TalkClock
) -> None:
    old = await answered(store, ask("old"))
    await clock.advance(DAY)
    young = await answered(store, ask("young"))
    await clock.advance(DAY - 1.0)
    async with running(prune(store, 2.0, clock)):
        await clock.advance(10.0)
        assert [turn.id for turn in await store.turns(HERE)] == [old.id, young.id]
        await clock.advance(3600.0)
        assert [turn.id for turn in await store.turns(HERE)] == [young.id]


async def test_of_a_thread_that_goes_on_the_engine_forgets_what_the_retention_took(
    store: ThreadStore, clock: TalkClock
) -> None:
    """Once the turns are gone, so that none of them is read ahead again."""
    forgotten: list[tuple[Place, list[str]]] = []

    async def forget(place: Place) -> None:
        forgotten.append((place, [turn.text for turn in await store.turns(place)]))

    other = Place("slack", "T1", "C1", "1800.1")
    await answered(store, ask("old", "Old?"))
    await clock.advance(1.5 * DAY)
    await answered(store, ask("young", "Young?"))
    await answered(store, ask("other", place=other))
    await clock.advance(DAY)
    async with running(prune(store, 2.0, clock, forget=forget)):
        await clock.advance(10.0)
    assert forgotten == [(HERE, ["Young?"])]


async def test_states_of_threads_older_than_the_retention_go_too(
    store: ThreadStore, clock: TalkClock
) -> None:
    asked: list[datetime] = []

    async def forget(before: datetime) -> None:
        asked.append(before)

    async with running(prune(store, 2.0, clock, forget_saved=forget)):
        await clock.advance(10.0)
    async with running(prune(store, 0, clock, forget_saved=forget)):
        await clock.advance(10.0)
    assert asked == [START - timedelta(days=2)]


async def test_without_retention_turns_stay_for_ever_and_keys_of_forgotten_ones_go(
    store: ThreadStore, clock: TalkClock
) -> None:
    await answered(store, ask("1"))
    await store.forget(HERE)
    await answered(store, ask("2"))
    async with running(prune(store, 0, clock)):
        await clock.advance(0.9 * DAY)
        assert await store.accept(ask("1")) is None
        await clock.advance(0.2 * DAY)
        assert (await accepted(store, ask("1"))).number == 2
        assert await store.accept(ask("2")) is None


class BrokenStore:
    """Fails as often as it is told to."""

    def __init__(self, *failures: StorageError) -> None:
        self._failures = list(failures)
        self.asked: list[datetime | None] = []

    async def outdated(self, before: datetime) -> list[Place]:
        return []

    async def prune(self, before: datetime | None) -> int:
        self.asked.append(before)
        if self._failures:
            raise self._failures.pop()
        return 0


async def test_a_database_that_fails_is_tried_again_an_hour_later(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock, store = FakeClock(), BrokenStore(StorageError("The disk failed."))
    async with running(prune(cast(ThreadStore, store), 1.0, clock)):
        await clock.advance(3600)
    assert "old turns could not be deleted" in caplog.text
    assert store.asked == [START - timedelta(days=1), START - timedelta(hours=23)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "personalities"


@pytest.fixture
def personalities(folder: Path) -> PersonalityBook:
    return book(folder)


@pytest.fixture
def reading(personalities: PersonalityBook) -> StageClock:
    """Stands still while files are read in a thread, however busy the machine is."""
    clock = StageClock()
    clock.watch(personalities, "refresh")
    return clock


async def all_fit(_: tuple[Personality, ...]) -> None:
    """As with a model whose window holds any prompt."""


async def test_a_changed_personality_counts_without_a_restart(
    folder: Path, personalities: PersonalityBook, reading: StageClock
) -> None:
    async with running(reread_personalities(personalities, all_fit, reading)):
        (folder / "poet.md").write_text("---\ntitle: Poet\n---\nYou rhyme.\n")
        await reading.advance(2)
        assert personalities.get("poet").prompt == "You rhyme."


async def test_a_prompt_that_outgrew_the_model_is_logged_and_the_old_one_stays(
    folder: Path,
    personalities: PersonalityBook,
    reading: StageClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    small = ScriptedGenerator(window=200)
    fits = partial(check_prompts, small, folder=folder, max_tokens=50)
    async with running(reread_personalities(personalities, fits, reading)):
        (folder / "assistant.md").write_text(f"---\ntitle: A\n---\n{'word ' * 500}\n")
        await reading.advance(2)
    assert "leave room to talk" in caplog.text
    assert personalities.get("assistant").prompt == "You are Parley."


async def test_a_broken_personality_is_logged_once_and_the_old_ones_stay(
    folder: Path,
    personalities: PersonalityBook,
    reading: StageClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running(reread_personalities(personalities, all_fit, reading)):
        (folder / "assistant.md").write_text("no front matter at all")
        await reading.advance(2)
        assert "a personality stays as it was" in caplog.text
        await reading.advance(10)
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "assistant.md:1" in warnings[0].getMessage()
    assert personalities.get("assistant").prompt == "You are Parley."


async def test_a_personality_that_is_right_again_is_logged_too(
    folder: Path,
    personalities: PersonalityBook,
    reading: StageClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    async with running(reread_personalities(personalities, all_fit, reading)):
        (folder / "pirate.md").write_text("no front matter at all")
        await reading.advance(2)
        (folder / "pirate.md").write_text("---\ntitle: Pirate\n---\nYou are back.\n")
        await reading.advance(4)
    said = [record.getMessage() for record in caplog.records]
    assert said[-1] == "the personalities are right again"
    assert personalities.get("pirate").prompt == "You are back."


async def test_a_loop_that_wakes_late_is_measured() -> None:
    clock, metrics = FakeClock(), Metrics()

    class Late(FakeClock):
        """Wakes a fifth of a second after it was asked to."""

        def monotonic(self) -> float:
            return clock.monotonic()

        async def sleep(self, seconds: float) -> None:
            await clock.sleep(seconds + 0.2)

    async with running(measure_lag(metrics, Late())):
        await clock.advance(1)
    lags = metrics.expose().decode()
    assert 'parley_loop_lag_seconds_bucket{le="0.1"} 0.0' in lags
    assert 'parley_loop_lag_seconds_bucket{le="0.25"} 2.0' in lags

"""Idle threads of several models are restored after their model was unloaded and loaded."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.generation import Finished
from bot.inference.core.saved_state import SavedState
from bot.inference.engine.offloading import OffloadOptions
from bot.inference.multi_model.fleet import Fleet
from bot.inference.state_store.store import StateStore
from tests.bot.inference.multi_model.loader import SIZE, FakeLoader, ask, metric
from tests.bot.inference.streams import read, until
from tests.fakes.clock import settle

SCOPE = "slack:T01"


def fake_loader(
    folder: Path | None = None, *, memory: int = 20_000, disk: int = 100_000
) -> FakeLoader:
    """Models a and b with pools of 800 cells each, which hold one idle thread."""
    offloading = OffloadOptions(memory, disk, folder, min_gain=0.0)
    return FakeLoader("a", "b", offloading=offloading, num_cells=800)


async def say(fleet: Fleet, thread: int, model: str, more: str = "") -> Finished:
    text = f"{thread} {'x' * 150}{more}"
    request = replace(ask(text, model), thread=f"t{thread}", scope=SCOPE)
    return (await read(await fleet.generate(request)))[1]


def files(loader: FakeLoader, model: str) -> set[Path]:
    return set(loader.state_folders.of(model).glob("*.state"))


async def test_loaded_models_share_the_memory_for_idle_threads() -> None:
    loader = fake_loader()
    async with loader.fleet(budget=2 * SIZE) as fleet:
        for model in "aba":
            for thread in range(40):
                await say(fleet, thread, model)
            await until(lambda: 10_000 < metric(loader, "parked_bytes", tier="memory") <= 20_000)
        assert metric(loader, "parked_dropped_total") > 0


async def test_models_share_the_disk_for_idle_threads(tmp_path: Path) -> None:
    loader = fake_loader(tmp_path, memory=0, disk=20_000)
    async with loader.fleet(budget=2 * SIZE) as fleet:
        for model in "aba":
            for thread in range(40):
                await say(fleet, thread, model)
            await until(lambda: metric(loader, "parked_bytes", tier="memory") == 0)
            await until(lambda: 10_000 < metric(loader, "parked_bytes", tier="disk") <= 20_000)
        assert files(loader, "a")
        assert files(loader, "b")


async def test_a_thread_is_restored_from_disk_when_its_model_is_back(
    tmp_path: Path,
) -> None:
    loader = fake_loader(tmp_path)
    async with loader.fleet(budget=SIZE) as fleet:
        await say(fleet, 1, "b")
        await say(fleet, 1, "a")
        finished = await say(fleet, 1, "b", "?")
        assert loader.loads == ["a", "b", "a", "b"]
        assert finished.usage.cached_tokens > 150
        assert metric(loader, "restored_total", tier="disk") == 1


async def test_a_thread_is_forgotten_by_a_model_that_is_not_loaded(tmp_path: Path) -> None:
    loader = fake_loader(tmp_path)
    async with loader.fleet(budget=SIZE) as fleet:
        for thread in (1, 2):
            await say(fleet, thread, "b")
        await say(fleet, 1, "a")
        assert len(files(loader, "b")) == 2
        await fleet.forget("t1", SCOPE)
        assert len(files(loader, "b")) == 1
        assert fleet.loaded == ("a",), "nothing is loaded for it"
        assert (await say(fleet, 2, "b", "?")).usage.cached_tokens > 150
        assert (await say(fleet, 1, "b", "?")).usage.cached_tokens < 150
    assert len(files(loader, "a")) == 0


async def test_a_thread_is_gone_before_the_command_returns_though_its_model_is_being_loaded(
    tmp_path: Path,
) -> None:
    loader = fake_loader(tmp_path)
    async with loader.fleet(budget=SIZE) as fleet:
        await say(fleet, 1, "b")
        await say(fleet, 2, "a")
        loader.may_load.clear()
        loading = asyncio.create_task(say(fleet, 2, "b"))
        await until(lambda: fleet.loaded == ())
        assert len(files(loader, "b")) == 1
        await fleet.forget("t1", SCOPE)
        assert not loading.done()
        assert len(files(loader, "b")) == 0
        loader.may_load.set()
        await loading
        assert (await say(fleet, 1, "b", "?")).usage.cached_tokens < 150


async def test_a_thread_is_gone_before_the_command_returns_though_its_model_is_being_unloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loader, writes, may_write = fake_loader(tmp_path), threading.Event(), threading.Event()
    write = StateStore.write

    def held(store: StateStore, saved: SavedState) -> str:
        writes.set()
        assert may_write.wait(10)
        return write(store, saved)

    monkeypatch.setattr(StateStore, "write", held)
    async with loader.fleet(budget=SIZE) as fleet:
        await say(fleet, 1, "b")
        loading = asyncio.create_task(say(fleet, 2, "a"))
        await until(writes.is_set)
        forgetting = asyncio.create_task(fleet.forget("t1", SCOPE))
        await settle()
        assert not forgetting.done()
        may_write.set()
        await forgetting
        assert len(files(loader, "b")) == 0
        await loading


async def test_states_that_were_saved_long_ago_are_deleted_for_every_model(tmp_path: Path) -> None:
    loader = fake_loader(tmp_path)
    async with loader.fleet(budget=SIZE) as fleet:
        for model in "ba":
            await say(fleet, 1, model)
        now = datetime.now(UTC)
        await fleet.forget_saved(now - timedelta(hours=1))
        assert len(files(loader, "b")) == 1
        await fleet.forget_saved(now + timedelta(hours=1))
        assert len(files(loader, "b")) == 0

"""Offloading of idle threads, seen through ``InferenceService`` and with real files."""

from __future__ import annotations

import asyncio
import resource
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.generation import ChatMessage, Finished, FinishReason, GenerationRequest
from bot.inference.core.saved_state import SavedState
from bot.inference.engine.offloading import OffloadOptions
from bot.inference.engine.service import InferenceService
from bot.inference.state_store.state_file import head_of
from bot.inference.state_store.store import StateStore
from bot.metrics import Metrics
from bot.stream import GenerationStream
from tests.bot.inference.streams import read
from tests.fakes.model import FakeModel, broken_step

SCOPE = "slack:T01"
STATE = 4 * 180
"""Upper bound on the bytes of a state in these tests."""


def request(thread: int, more: str = "") -> GenerationRequest:
    message = ChatMessage("user", f"thread {thread}: {'x' * 150}{more}")
    return GenerationRequest(messages=(message,), person="ada", thread=str(thread), scope=SCOPE)


class Watched:
    """An engine with its metrics. ``ask`` is one turn of a thread; its text tells the thread."""

    def __init__(self, service: InferenceService, model: FakeModel, metrics: Metrics) -> None:
        self.service, self.model, self.metrics = service, model, metrics

    async def begin(self, thread: int, more: str = "") -> GenerationStream:
        return await self.service.generate(request(thread, more))

    def read_ahead(self, thread: int) -> asyncio.Task[None]:
        return asyncio.create_task(self.service.warm(request(thread)))

    async def ask(self, thread: int, more: str = "") -> Finished:
        text, finished = await read(await self.begin(thread, more))
        assert text == f"about {thread}" or finished.reason is not FinishReason.STOP
        return finished

    def count(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"parley_{name}", labels) or 0.0

    @property
    def num_restored(self) -> dict[str, float]:
        return {tier: self.count("restored_total", tier=tier) for tier in ("memory", "disk")}

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not holds():  # noqa: ASYNC110 - workers are what is waited for
                await asyncio.sleep(0.001)

    async def until_on_disk(self) -> None:
        await self.until(lambda: self.count("parked_bytes", tier="memory") == 0)


def about(prompt: str) -> str:
    return f"about {prompt.partition(':')[0].removeprefix('thread ')}"


@asynccontextmanager
async def engine(
    folder: Path | None = None, *, memory: int = 100_000, disk: int = 100_000, **options: object
) -> AsyncIterator[Watched]:
    """A pool of 800 cells: it holds two idle threads, the others are offloaded."""
    model, metrics = FakeModel(about, num_cells=800, **options), Metrics()  # type: ignore[arg-type]
    offloading = OffloadOptions(memory, disk, folder and folder / "parked", min_gain=0.0)
    service = InferenceService(model, metrics, max_running=4, max_waiting=50, offloading=offloading)
    async with service:
        yield Watched(service, model, metrics)


def files(folder: Path) -> list[Path]:
    return sorted((folder / "parked").glob("*.state"))


async def on_disk(folder: Path) -> list[str]:
    """The threads whose states are in the folder."""
    heads = await asyncio.to_thread(lambda: [head_of(path) for path in files(folder)])
    return [head.thread or "" for head in heads]


async def test_a_thread_that_continues_after_many_others_is_restored_from_memory() -> None:
    async with engine() as parley:
        for thread in range(10):
            await parley.ask(thread)
        finished = await parley.ask(0, "?")
        assert finished.usage.cached_tokens > 150
        assert parley.num_restored == {"memory": 1, "disk": 0}
        assert parley.count("prompt_tokens_total", source="restored") > 150
        assert parley.count("parked_total") >= 7
        assert parley.count("parked_bytes", tier="memory") > 0


async def test_a_thread_that_does_not_fit_into_memory_is_restored_from_disk(tmp_path: Path) -> None:
    async with engine(tmp_path, memory=0) as parley:
        for thread in range(10):
            await parley.ask(thread)
        await parley.until_on_disk()
        assert parley.count("parked_bytes", tier="disk") > 0
        finished = await parley.ask(0, "?")
        assert finished.usage.cached_tokens > 150
        assert parley.num_restored == {"memory": 0, "disk": 1}


async def test_everybody_who_comes_back_from_disk_at_once_is_answered(tmp_path: Path) -> None:
    async with engine(tmp_path, memory=0) as parley:
        for thread in range(20):
            await parley.ask(thread)
        await parley.until_on_disk()
        await asyncio.gather(*(parley.ask(thread, "?") for thread in range(18)))
        assert parley.num_restored["disk"] >= 10


async def test_threads_are_restored_after_a_restart_also_those_that_had_never_left_the_pool(
    tmp_path: Path,
) -> None:
    async with engine(tmp_path) as parley:
        for thread in range(6):
            await parley.ask(thread)
    async with engine(tmp_path) as again:
        for thread in range(6):
            finished = await again.ask(thread, "?")
            assert finished.usage.cached_tokens > 150
        assert again.num_restored == {"memory": 0, "disk": 6}


async def test_with_another_model_everything_on_disk_is_ignored_and_counted(
    tmp_path: Path,
) -> None:
    async with engine(tmp_path) as parley:
        await parley.ask(1)
    async with engine(tmp_path, fingerprint="words") as again:
        assert again.count("parked_ignored_total") == 1
        finished = await again.ask(1, "?")
        assert finished.usage.cached_tokens == 0


async def test_after_a_damaged_file_the_thread_is_evaluated_again_and_the_file_is_gone(
    tmp_path: Path,
) -> None:
    async with engine(tmp_path) as parley:
        await parley.ask(1)
    (path,) = files(tmp_path)
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)
    async with engine(tmp_path) as again:
        finished = await again.ask(1, "?")
        assert (finished.reason, finished.usage.cached_tokens) == (FinishReason.STOP, 0)
        assert again.count("parked_ignored_total") == 1
        assert files(tmp_path) == []


async def test_after_a_file_has_vanished_the_thread_is_evaluated_again(tmp_path: Path) -> None:
    async with engine(tmp_path, memory=0) as parley:
        for thread in range(8):
            await parley.ask(thread)
        await parley.until_on_disk()
        for path in files(tmp_path):
            path.unlink()
        assert (await parley.ask(0, "?")).reason is FinishReason.STOP
        assert parley.count("parked_ignored_total") == 1


async def test_forget_deletes_the_files_on_disk_before_it_returns(tmp_path: Path) -> None:
    async with engine(tmp_path, memory=0) as parley:
        for thread in range(8):
            await parley.ask(thread)
        await parley.until_on_disk()
        num_files = len(files(tmp_path))
        await parley.service.forget("0", SCOPE)
        assert len(files(tmp_path)) == num_files - 1
        assert (await parley.ask(0, "?")).usage.cached_tokens == 0


async def test_a_forgotten_thread_does_not_come_back_with_a_restart(tmp_path: Path) -> None:
    async with engine(tmp_path) as parley:
        for thread in range(4):
            await parley.ask(thread)
        for thread in range(4):
            await parley.service.forget(str(thread), SCOPE)
    assert files(tmp_path) == []


@pytest.mark.parametrize("num_steps", [0, 1])
async def test_a_thread_that_is_forgotten_while_it_is_warmed_is_prefilled_no_further(
    tmp_path: Path, num_steps: int
) -> None:
    """Before the first step the request is still being encoded."""
    async with engine(tmp_path, stepwise=True) as parley:
        reading = parley.read_ahead(1)
        await asyncio.sleep(0)
        parley.model.allow(num_steps)
        await parley.until(lambda: len(parley.model.steps) == num_steps)
        await parley.service.forget("1", SCOPE)
        parley.model.allow(100)
        await reading
        assert parley.service.num_running == parley.service.num_waiting == 0
    assert sum(len(chunk.tokens) for s in parley.model.steps for chunk in s.chunks) <= 128
    assert files(tmp_path) == []


@pytest.mark.parametrize("num_steps", [0, 1, 4])
async def test_a_question_of_a_thread_that_is_forgotten_meanwhile_is_not_kept(
    tmp_path: Path, num_steps: int
) -> None:
    """Before the first step the request is being encoded, after four the reply is decoding."""
    async with engine(tmp_path, stepwise=True) as parley:
        asking = asyncio.create_task(parley.ask(1))
        await asyncio.sleep(0)
        parley.model.allow(num_steps)
        await parley.until(lambda: len(parley.model.steps) == num_steps)
        await parley.service.forget("1", SCOPE)
        parley.model.allow(100)
        await asking
    assert files(tmp_path) == []


async def test_a_state_that_was_saved_before_the_retention_is_deleted(tmp_path: Path) -> None:
    async with engine(tmp_path, memory=0) as parley:
        for thread in range(8):
            await parley.ask(thread)
        await parley.until_on_disk()
        await parley.service.forget_saved(datetime.now(UTC) - timedelta(days=1))
        assert len(files(tmp_path)) > 0
        await parley.service.forget_saved(datetime.now(UTC) + timedelta(days=1))
        assert files(tmp_path) == []
        assert parley.count("parked_bytes", tier="disk") == 0


async def test_closing_writes_every_idle_thread_once(tmp_path: Path) -> None:
    """Also with so little memory that spilling had begun before."""
    async with engine(tmp_path, memory=STATE) as parley:
        for thread in range(6):
            await parley.ask(thread)
    threads = await on_disk(tmp_path)
    assert len(threads) == len(set(threads))
    assert "5" in threads
    async with engine(tmp_path) as again:
        assert again.count("parked_ignored_total") == 0
        for name in threads:
            assert (await again.ask(int(name), "?")).usage.cached_tokens > 150


class SlowDisk:
    """While ``held``, files are neither deleted nor written; ``threads`` were written."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._may_go_on = threading.Event()
        self.threads: list[str | None] = []
        self.num_asked = 0
        write, delete = StateStore.write, StateStore.delete

        def slow_write(store: StateStore, saved: SavedState) -> str:
            self._wait()
            self.threads.append(saved.thread)
            return write(store, saved)

        def slow_delete(store: StateStore, names: list[str]) -> None:
            self._wait()
            delete(store, names)

        patch.setattr(StateStore, "write", slow_write)
        patch.setattr(StateStore, "delete", slow_delete)

    def _wait(self) -> None:
        self.num_asked += 1
        assert self._may_go_on.wait(10)

    def go_on(self) -> None:
        self._may_go_on.set()


def _by_name(service: InferenceService) -> Awaitable[None]:
    return service.forget("0", SCOPE)


def _by_retention(service: InferenceService) -> Awaitable[None]:
    return service.forget_saved(datetime.now(UTC) + timedelta(days=1))


@pytest.mark.parametrize("forget", [_by_name, _by_retention])
async def test_a_thread_that_is_forgotten_while_its_file_is_written_leaves_no_file(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    forget: Callable[[InferenceService], Awaitable[None]],
) -> None:
    async with engine(tmp_path, memory=0) as parley:
        disk = SlowDisk(monkeypatch)
        for thread in range(3):
            await parley.ask(thread)
        await parley.until(lambda: disk.num_asked == 1)
        forgetting = asyncio.ensure_future(forget(parley.service))
        await asyncio.sleep(0)
        assert not forgetting.done()
        disk.go_on()
        await forgetting
        assert "0" in disk.threads
        assert "0" not in await on_disk(tmp_path)


async def test_a_thread_that_is_forgotten_just_before_its_file_is_written_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer makes room on the disk first, which takes a while."""
    async with engine(tmp_path, memory=0, disk=2 * STATE) as parley:
        for thread in range(4):
            await parley.ask(thread)
        await parley.until_on_disk()
        disk = SlowDisk(monkeypatch)
        await parley.ask(4)
        await parley.until(lambda: disk.num_asked == 1)
        saved = next(
            p.thread for p in parley.service._offloading.saved_states if p.state is not None
        )
        assert saved is not None
        forgetting = asyncio.create_task(parley.service.forget(saved, SCOPE))
        await asyncio.sleep(0)
        disk.go_on()
        await forgetting
    assert saved not in disk.threads


async def test_bytes_on_disk_and_in_memory_keep_to_their_budgets(tmp_path: Path) -> None:
    async with engine(tmp_path, memory=3_000, disk=5_000) as parley:
        for thread in range(30):
            await parley.ask(thread)
            assert parley.count("parked_bytes", tier="memory") <= 3_000 + STATE
            assert parley.count("parked_bytes", tier="disk") <= 5_000
        await parley.until(lambda: parley.count("parked_bytes", tier="memory") <= 3_000 - STATE)
        on_disk = sum(path.stat().st_size for path in files(tmp_path))
        assert 0 < on_disk <= 5_000 + 2_000 * len(files(tmp_path))
        assert (await parley.ask(29, "?")).usage.cached_tokens > 150


@contextmanager
def full_disk() -> Iterator[None]:
    """No file of this process may grow beyond a few bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_full_disk_is_counted_and_nobody_sees_an_error(tmp_path: Path) -> None:
    async with engine(tmp_path, memory=0) as parley:
        with full_disk():
            for thread in range(8):
                assert (await parley.ask(thread)).reason is FinishReason.STOP
            await parley.until(lambda: parley.count("parked_dropped_total") > 0)
            await parley.until_on_disk()
        assert files(tmp_path) == []
        assert list((tmp_path / "parked").glob("*.tmp")) == []
        assert (await parley.ask(0, "?")).usage.cached_tokens == 0


async def test_with_a_folder_that_cannot_be_made_threads_are_offloaded_to_memory_only(
    tmp_path: Path,
) -> None:
    (tmp_path / "parked").write_text("a file is in its place")
    async with engine(tmp_path) as parley:
        for thread in range(8):
            await parley.ask(thread)
        await parley.ask(0, "?")
        assert parley.num_restored == {"memory": 1, "disk": 0}


async def test_threads_of_a_model_that_cannot_restore_are_not_offloaded_and_the_log_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with engine(keeps=False) as parley:
        for thread in range(8):
            await parley.ask(thread)
        assert (await parley.ask(0, "?")).usage.cached_tokens == 0
        assert parley.count("parked_total") == 0
    assert "letters: no thread is parked" in caplog.text


async def test_with_both_budgets_at_zero_nothing_is_offloaded(tmp_path: Path) -> None:
    async with engine(tmp_path, memory=0, disk=0) as parley:
        for thread in range(8):
            await parley.ask(thread)
        assert parley.count("parked_total") == 0
    assert not (tmp_path / "parked").exists()


async def test_the_thread_used_last_remains_in_the_pool_until_another_one_asks() -> None:
    async with engine() as parley:
        await parley.ask(0)
        assert (await parley.ask(0, "?")).usage.cached_tokens > 150
        assert parley.count("parked_total") == 0
        await parley.ask(1)
        assert parley.count("parked_total") == 1


async def test_after_a_failure_of_the_engine_saved_states_are_kept(
    tmp_path: Path,
) -> None:
    async with engine(tmp_path) as parley:
        for thread in range(8):
            await parley.ask(thread)
        parley.model.failures = [broken_step()]
        failed = await parley.ask(99)
        assert failed.reason is FinishReason.ERROR
        assert "ask again" in failed.detail
        finished = await parley.ask(0, "?")
        assert (finished.reason, finished.usage.cached_tokens > 150) == (FinishReason.STOP, True)
        assert (
            await parley.ask(7, "?")
        ).usage.cached_tokens > 150  # it made way for the failed one
        assert (await parley.ask(99, "?")).usage.cached_tokens == 0  # it was in the pool
        assert (parley.model.num_resets, parley.count("engine_restarts_total")) == (1, 1)
        assert parley.service.is_healthy


async def test_a_state_whose_restoring_failed_is_not_restored_again() -> None:
    async with engine() as parley:
        for thread in range(8):
            await parley.ask(thread)
        parley.model.failures = [broken_step()]
        assert (await parley.ask(0, "?")).reason is FinishReason.ERROR
        again = await parley.ask(0, "?")
        assert (again.reason, again.usage.cached_tokens) == (FinishReason.STOP, 0)


async def test_a_refused_state_is_counted_and_the_thread_evaluated_again() -> None:
    async with engine() as parley:
        for thread in range(8):
            await parley.ask(thread)
        parley.model.refuses = 1
        finished = await parley.ask(0, "?")
        assert (finished.reason, finished.usage.cached_tokens) == (FinishReason.STOP, 0)
        assert parley.count("parked_ignored_total") == 1
        assert parley.num_restored == {"memory": 0, "disk": 0}


async def test_a_restart_in_the_middle_of_a_reply_keeps_the_text_so_far(
    tmp_path: Path,
) -> None:
    async with engine(tmp_path, stepwise=True) as parley:
        stream = await parley.begin(1)
        parley.model.allow(5)
        await parley.until(lambda: len(parley.model.steps) == 5)
        parley.model.allow(100)
    assert (await read(stream))[1].reason in (FinishReason.CANCELLED, FinishReason.STOP)
    async with engine(tmp_path) as again:
        assert (await again.ask(1, "?")).usage.cached_tokens > 150

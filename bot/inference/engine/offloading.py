"""Offloads idle threads from the KV pool to memory and disk, and restores them.

Runs on the event loop. Its own workers read and write files, never the one that runs steps.
After any failure here a thread is evaluated again, and nothing else is lost.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from bot.inference.core.model import Model, StepFailed
from bot.inference.core.saved_state import SavedState
from bot.inference.core.sequence import Offload, Restore, Step
from bot.inference.engine.worker import ModelWorker
from bot.inference.kv_cache.saved_states import MIN_GAIN, SavedStates
from bot.inference.scheduling.scheduler import Scheduler
from bot.inference.state_store.store import StateStore
from bot.metrics import Metrics, MetricShare

logger = logging.getLogger(__name__)

_CLOSE_SECONDS = 10.0
T = TypeVar("T")
_MEMORY, _DISK = "memory", "disk"


@dataclass(frozen=True, slots=True)
class OffloadOptions:
    """Bytes for saved states in memory and in ``folder``. ``min_gain``: see ``CostModel``."""

    max_memory: int = 0
    max_disk: int = 0
    folder: Path | None = None
    min_gain: float = MIN_GAIN


class Offloading:
    """Does the I/O that ``saved_states`` plans.

    ``wake`` is called when a wanted state was read or could not be read.
    """

    def __init__(self, options: OffloadOptions, metrics: Metrics, wake: Callable[[], None]) -> None:
        self._folder = options.folder
        self._options = options
        max_disk = options.max_disk if options.folder else 0
        self.saved_states = SavedStates(options.max_memory, max_disk, min_gain=options.min_gain)
        self._metrics = metrics
        self._wake = wake
        self._store: StateStore | None = None
        self._workers = ThreadPoolExecutor(2, "parley-parked")
        self._reading: set[asyncio.Task[None]] = set()
        self._spilling: asyncio.Task[None] | None = None
        self._writing, self._deleting = asyncio.Lock(), asyncio.Lock()
        self._is_closing = False
        self._dropped = MetricShare(metrics.parked_dropped)

    async def open(self, model: Model, worker: ModelWorker) -> None:
        """Start to offload and load the index of states on disk, if the model can restore them."""
        if self.saved_states.max_memory + self.saved_states.max_disk == 0:
            return
        if not await worker.call(model.keeps_states):
            logger.warning("%s: no thread is parked, its state cannot be restored", model.name)
            return
        if self._folder is not None and self.saved_states.max_disk:
            await self._open_store(self._folder, model)
        self.saved_states.is_open = True
        self._start_spilling()

    async def _open_store(self, folder: Path, model: Model) -> None:
        store = StateStore(folder, await self._work(lambda: model.fingerprint))
        try:
            found, num_ignored = await self._work(store.open)
        except OSError as error:
            logger.warning("idle threads are not kept on disk: %s", error)
            self.saved_states.max_disk = 0
            return
        self._store = store
        self._metrics.parked_ignored.inc(num_ignored)
        for saved in found:
            self.saved_states.add(saved)

    def share(self, num_in_memory: int, num_on_disk: int) -> None:
        """Share the memory with so many models, and the disk with so many, in equal parts."""
        self.saved_states.max_memory = self._options.max_memory // num_in_memory
        if self._store is not None:
            self.saved_states.max_disk = self._options.max_disk // num_on_disk
        self._start_spilling()

    def fetch(self) -> None:
        """Start to read the states that the plan wants, and to delete those it discarded."""
        wanted, self.saved_states.wanted = self.saved_states.wanted, []
        for saved in wanted:
            task = asyncio.create_task(self._read(saved, saved.file))
            self._reading.add(task)
            task.add_done_callback(self._reading.discard)
        if self.saved_states.discarded:
            self._start_spilling()

    def settle(self, step: Step, refused: Sequence[int] = ()) -> float:
        """Record what a step offloaded and restored; returns the seconds that the copying took.

        The states for the slots ``refused`` were not restored.
        """
        copied = [a for a in step.actions if isinstance(a, Offload | Restore)]
        for action in copied:
            if isinstance(action, Offload):
                self._saved(action.saved)
            else:
                self._restored(action.saved, is_refused=action.slot in refused)
        if copied:
            self.saved_states.drop_excess()
            self._start_spilling()
        return sum(action.saved.seconds for action in copied)

    def lose_unsaved(self) -> None:
        """Drop the states that a failed step should have saved."""
        self.saved_states.drop_unsaved()
        self._start_spilling()

    async def until_gone(self) -> None:
        """Returns when no file of a removed state is left, not even of one being written."""
        if (
            self.saved_states.writing is not None
            and self.saved_states.writing not in self.saved_states
        ):
            async with self._writing:
                pass
        await self._delete_discarded()
        self._update_metrics()

    async def forget_before(self, moment: datetime) -> None:
        self.saved_states.forget_before(moment.timestamp())
        await self.until_gone()

    async def close(self, scheduler: Scheduler, worker: ModelWorker) -> None:
        """Write idle threads to disk for the next start, latest first, for ten seconds at most."""
        deadline = time.monotonic() + _CLOSE_SECONDS
        self._is_closing = True
        if tasks := [*self._reading, *([self._spilling] if self._spilling else [])]:
            await asyncio.wait(tasks)
        if self._store is not None:
            await self._save_idle(scheduler, worker)
            for saved in self.saved_states.unwritten():
                if time.monotonic() < deadline:
                    await self._write(self._store, saved)
        await self._delete_discarded()
        await asyncio.to_thread(self._workers.shutdown)

    async def _save_idle(self, scheduler: Scheduler, worker: ModelWorker) -> None:
        """Offload all idle threads, unless a failed step left the KV pool in an unknown state."""
        await worker.until_idle()
        self.saved_states.stamp(time.time())
        step = scheduler.offload_idle() if worker.is_sound else None
        if step is None:
            return
        try:
            await worker.begin(step)
        except StepFailed as error:
            logger.warning("idle threads are not kept: %s", error)
        else:
            self.settle(step)

    def _saved(self, saved: SavedState) -> None:
        if saved not in self.saved_states:  # forgotten or outdated while it was being saved
            saved.state = None
            return
        if saved.state is None:
            self.saved_states.remove(saved)
            return
        self.saved_states.stamp(time.time())
        self.saved_states.costs.saved(saved)
        self._metrics.parked.inc()

    def _restored(self, saved: SavedState, *, is_refused: bool) -> None:
        saved.state = None
        if is_refused:
            self._metrics.parked_ignored.inc()
            return
        self.saved_states.costs.restored(saved)
        self._metrics.restored.labels(_DISK if saved.was_read else _MEMORY).inc()

    async def _read(self, saved: SavedState, file: str) -> None:
        """Read a wanted state; the sequence that waits for it continues in any case."""
        started, state = time.monotonic(), None
        try:
            if self._store:
                state = await self._work(self._store.read, saved, file)
        finally:
            saved.is_wanted = False
            if saved in self.saved_states:
                self._was_read(saved, state, time.monotonic() - started)
            self._update_metrics()
            self._wake()

    def _was_read(self, saved: SavedState, state: memoryview | None, seconds: float) -> None:
        if state is None:
            self.saved_states.remove(saved)
            self._metrics.parked_ignored.inc()
            return
        saved.state, saved.was_read = state, True
        self.saved_states.costs.was_read(saved, seconds)
        self.saved_states.touch(saved)

    def _start_spilling(self) -> None:
        """Spill states to disk in the background, while the memory holds too many bytes."""
        if not self._is_closing and (self._spilling is None or self._spilling.done()):
            self._spilling = asyncio.create_task(self._spill())
        self._update_metrics()

    async def _work(self, do: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._workers, do, *arguments)

    async def _spill(self) -> None:
        while not self._is_closing and (saved := self.saved_states.next_to_spill()) is not None:
            if self._store is None:
                self.saved_states.drop(saved)
            else:
                await self._write(self._store, saved)
        self.saved_states.make_room_on_disk()
        await self._delete_discarded()
        self._update_metrics()

    async def _write(self, store: StateStore, saved: SavedState) -> None:
        if not self.saved_states.make_room_on_disk(saved):
            self.saved_states.drop(saved)
            return
        await self._delete_discarded()
        async with self._writing:
            if saved in self.saved_states and saved.state is not None:  # it may be gone by now
                await self._write_now(store, saved)

    async def _write_now(self, store: StateStore, saved: SavedState) -> None:
        self.saved_states.writing = saved
        try:
            file = await self._work(store.write, saved)
        except OSError as error:
            logger.warning("a parked thread is given up, it could not be written: %s", error)
            if saved in self.saved_states:
                self.saved_states.drop(saved)
        else:
            self._written(saved, file)
        finally:
            self.saved_states.writing = None

    def _written(self, saved: SavedState, file: str) -> None:
        if saved in self.saved_states:
            saved.file, saved.state = file, None
        else:
            self.saved_states.discarded.append(file)

    async def _delete_discarded(self) -> None:
        """Returns when all discarded files are deleted, also those that another task deletes."""
        async with self._deleting:
            names, self.saved_states.discarded = self.saved_states.discarded, []
            if names and self._store:
                await self._work(self._store.delete, names)

    def _update_metrics(self) -> None:
        self._metrics.parked_bytes.labels(_MEMORY).set(self.saved_states.memory_bytes)
        self._metrics.parked_bytes.labels(_DISK).set(self.saved_states.disk_bytes)
        self._dropped.set(self.saved_states.num_dropped)

"""Who runs, who waits and what the next step does. Pure: no clock, no I/O, no model.

Admission is fair to people (see FairQueue); a prompt less than half as long overtakes. What a
step evaluates of those who were admitted is the BatchPlanner's. Background work comes last in
everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from bot.errors import QueueFull
from bot.inference.core.sequence import NO_TOKEN, Sequence, Status, Step
from bot.inference.kv_cache.manager import KVCacheManager
from bot.inference.kv_cache.saved_states import SavedStates
from bot.inference.scheduling.batching import BatchPlanner, LimitsOf
from bot.inference.scheduling.prefill_budget import StepLimits
from bot.inference.scheduling.request_queue import RequestQueue
from bot.types import FinishReason

_HEADROOM = 32
"""Cells kept free per running sequence when another is admitted: room to grow a while."""


class Scheduler:
    """Owns every sequence from ``add`` until it is finished."""

    def __init__(
        self,
        *,
        max_running: int,
        max_waiting: int,
        num_cells: int,
        max_batch: int,
        num_slots: int = 0,
        reuse: bool = True,
        saved_states: SavedStates | None = None,
        limits_of: LimitsOf | None = None,
    ) -> None:
        """``num_slots``: of running, idle and shared sequences. See KVCacheManager for the others.

        Without ``limits_of`` a step takes as much of prompts as there is room for.
        """
        self.max_running = max_running
        self.max_waiting = max_waiting
        self.max_batch = max_batch
        self.limits_of = limits_of or (lambda _num_replies, _num_cells: StepLimits.all(max_batch))
        self._max_prefill = max_batch
        self.num_preempted = 0
        self._num_cells, self._num_slots = num_cells, max(num_slots, max_running)
        self._reuse, self._saved_states = reuse, saved_states
        self._cells = self._new_cells()
        self._waiting = RequestQueue()
        self._running: list[Sequence] = []
        self._chunker = BatchPlanner(self._running, self._cells, self._admit_next)

    @property
    def running(self) -> tuple[Sequence, ...]:
        """Sequences with a slot, oldest first."""
        return tuple(self._running)

    @property
    def waiting(self) -> tuple[Sequence, ...]:
        """Sequences without a slot, in the order in which they will get one."""
        return tuple(self._waiting)

    @property
    def is_full(self) -> bool:
        return len(self._waiting) >= self.max_waiting

    @property
    def num_overtaken(self) -> int:
        return self._waiting.num_overtaken

    @property
    def num_held(self) -> int:
        """Steps in which replies that had only begun waited for others to be read."""
        return self._chunker.pause.num_held

    @property
    def num_cells_used(self) -> int:
        return self._cells.num_used

    @property
    def num_cached_threads(self) -> int:
        """Idle threads that would go on from where they were."""
        return self._cells.num_cached_threads

    def add(self, sequence: Sequence, *, retry_after: float = 5.0) -> None:
        """Queue a sequence; raises QueueFull."""
        if self.is_full:
            raise QueueFull(retry_after)
        self._waiting.join(sequence)

    def finish(self, sequence: Sequence, reason: FinishReason) -> None:
        """End a sequence wherever it stands; its place is free within one step."""
        if sequence.is_finished:
            return
        was_waiting = sequence.status is Status.WAITING
        self._end(sequence, reason)
        if was_waiting:
            self._waiting.withdraw(sequence)
        else:
            self._running.remove(sequence)
            self._cells.retire(sequence)

    def rest(self) -> None:
        """Nothing ran for a while; see DecodePause."""
        self._chunker.pause.rest()

    def plan(self) -> Step | None:
        """The next step, or None when there is nothing to do."""
        self._make_place_for_people()
        self._make_room_to_decode()
        chunks = self._chunker.chunks(self._limits, self.max_batch)
        actions = self._cells.take_actions()
        return Step(actions, chunks) if actions or chunks else None

    def apply(
        self, step: Step, sampled: Mapping[int, int], is_end: Callable[[int], bool]
    ) -> list[Sequence]:
        """Take in what the model did: ``sampled`` maps slot to token. Who has a new token."""
        self._max_prefill = self.max_batch
        by_slot = {s.slot: s for s in self._running}
        advanced = []
        for chunk in step.chunks:
            sequence = by_slot.get(chunk.slot)
            if sequence is None:  # finished while the step ran
                continue
            sequence.num_cached += len(chunk.tokens)
            self._cells.promote(sequence)
            if chunk.wants_token:
                self._accept(sequence, sampled[chunk.slot], is_end)
                advanced.append(sequence)
        return advanced

    def undo(self, step: Step) -> list[Sequence]:
        """The model had no room for ``step`` and did nothing but its actions.

        Idle cells go, then the prefill share shrinks, then the youngest goes back to the
        queue; a sequence that has no room even alone is failed, and returned.
        """
        self._take_back(step)
        if self._cells.idle.evict():
            return []
        if step.num_prefill > 1:
            self._max_prefill = max(1, step.num_prefill // 2)
        elif len(self._running) > 1:
            self._preempt(self._running[-1])
        else:
            return self._fail_running()
        return []

    def begin_again(self, step: Step, slots: Iterable[int]) -> None:
        """The model did the actions of ``step``, but the states for ``slots`` were refused."""
        self._take_back(step)
        for sequence in [s for s in self._running if s.held_slot in slots]:
            self._cells.leave(sequence)
            self._requeue(sequence)
        for slot in slots:
            self._cells.idle.lose(slot)

    def forget(self, scope: str, thread: str) -> None:
        """Nothing that was evaluated of the thread is kept, also of what is under way."""
        for sequence in self._everyone():
            if (sequence.scope, sequence.thread) == (scope, thread):
                sequence.is_forgotten = True
        self._cells.idle.forget(scope, thread)

    def offload_idle(self) -> Step | None:
        """All idle threads leave the pool; the step that saves them."""
        self._cells.idle.offload_all()
        actions = self._cells.take_actions()
        return Step(actions, []) if actions else None

    def lose_everything(self) -> list[Sequence]:
        """The model's memory is lost: who was running ends with ``error``; who they were.

        The books of the pool may be wrong, and are not asked.
        """
        failed = list(self._running)
        self._running.clear()
        self._cells = self._chunker.cells = self._new_cells()
        for sequence in failed:
            self._end(sequence, FinishReason.ERROR)
        return failed

    def lose_waiting(self, num_first: int | None = None) -> None:
        """So many of those who wait end with ``error``, or all."""
        for sequence in self.waiting[:num_first]:
            self.finish(sequence, FinishReason.ERROR)

    def _end(self, sequence: Sequence, reason: FinishReason) -> None:
        sequence.status = Status.FINISHED
        sequence.finish_reason = reason
        self._waiting.leave(sequence)

    def _new_cells(self) -> KVCacheManager:
        return KVCacheManager(
            self._num_cells,
            self._num_slots,
            max_running=self.max_running,
            reuse=self._reuse,
            saved_states=self._saved_states,
        )

    def _fail_running(self) -> list[Sequence]:
        failed = list(self._running)
        for sequence in failed:
            self.finish(sequence, FinishReason.ERROR)
        return failed

    def _accept(self, sequence: Sequence, token: int, is_end: Callable[[int], bool]) -> None:
        sequence.status = Status.DECODE
        if token == NO_TOKEN:
            self.finish(sequence, FinishReason.ERROR)
            return
        if is_end(token):
            self.finish(sequence, FinishReason.STOP)
            return
        if sequence.max_tokens == 0:  # only to be evaluated
            self.finish(sequence, FinishReason.LENGTH)
            return
        sequence.tokens.append(token)
        if sequence.guard and sequence.guard.add(token):
            self.finish(sequence, FinishReason.LOOPED)
        elif sequence.num_generated >= sequence.max_tokens:
            self.finish(sequence, FinishReason.LENGTH)

    def _admit_next(self, shorter_than: Sequence | None) -> Sequence | None:
        """Where somebody reads already, only who is much shorter has a turn."""
        return self._waiting.admit_first(
            lambda sequence: shorter_than is None or self._overtakes(sequence, shorter_than),
            self._admit,
        )

    def _overtakes(self, sequence: Sequence, other: Sequence) -> bool:
        if sequence.is_background != other.is_background:
            return other.is_background
        return 2 * self._cells.num_to_evaluate(sequence) < other.num_pending

    def _admit(self, sequence: Sequence) -> bool:
        """Seat the sequence if there is a place and room for it beside who is running."""
        if len(self._running) >= self.max_running or self._cells.must_wait(sequence):
            return False
        promised = sum(s.num_pending for s in self._running if s.status is Status.PREFILL)
        headroom = _HEADROOM * (len(self._running) + 1)
        needed = promised + self._cells.num_needed(sequence) + headroom
        if self._running and not self._cells.could_free(needed, sequence):
            return False
        self._cells.allocate(sequence, needed)
        sequence.status = Status.PREFILL
        self._running.append(sequence)
        return True

    def _make_place_for_people(self) -> None:
        """Background work gives its place to them, before the step takes it in."""
        is_full = len(self._running) >= self.max_running
        first = next(iter(self._waiting), None)
        if is_full and first is not None and not first.is_background:
            background = [s for s in self._running if s.is_background]
            if background:
                self._preempt(background[-1])

    def _make_room_to_decode(self) -> None:
        self._cells.make_room(len(self._chunker.decoding()))
        while len(self._chunker.decoding()) > self._cells.num_free and len(self._running) > 1:
            self._preempt(self._running[-1])

    def _limits(self, num_replies: int, num_cells: int) -> StepLimits:
        """Nobody but a single prompt there: full batches, which cost least."""
        limits = self.limits_of(num_replies, num_cells)
        if len(self._running) + len(self._waiting) == 1:
            limits = limits.undisturbed()
        return limits.at_most(self._max_prefill)

    def _preempt(self, sequence: Sequence) -> None:
        """Back to the head of its round; its state is parked or evaluated again."""
        self._cells.preempt(sequence)
        self._requeue(sequence)
        self.num_preempted += 1

    def _requeue(self, sequence: Sequence) -> None:
        self._running.remove(sequence)
        sequence.status = Status.WAITING
        sequence.num_cached = 0
        self._waiting.join_again(sequence)

    def _take_back(self, step: Step) -> None:
        """Its chunks were not evaluated."""
        for chunk in step.chunks:
            sequence = next((s for s in self._running if s.slot == chunk.slot), None)
            if sequence is not None:
                self._cells.grow(sequence, -len(chunk.tokens))

    def _everyone(self) -> Iterable[Sequence]:
        yield from self._waiting
        yield from self._running

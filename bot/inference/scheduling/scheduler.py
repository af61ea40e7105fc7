"""Decides which sequences run, which wait, and what the next step does. Pure: no clock, no I/O.

Admission is fair to people (see FairQueue), but a prompt less than half as long overtakes. The
BatchPlanner chooses the tokens that a step evaluates. Background work comes last everywhere.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import chain, islice
from operator import attrgetter

from bot.errors import QueueFull
from bot.fair_queue import FairQueue
from bot.generation import FinishReason
from bot.inference.core.lanes import Lanes
from bot.inference.core.sequence import NO_TOKEN, Chunk, Forced, Sequence, Status, Step
from bot.inference.kv_cache.manager import KVCacheManager
from bot.inference.kv_cache.saved_states import SavedStates
from bot.inference.kv_cache.streams import StreamKVCache
from bot.inference.kv_cache.unified import UnifiedKVCache
from bot.inference.scheduling.batching import BatchPlanner, LimitsOf
from bot.inference.scheduling.model_drafts import ModelDrafts
from bot.inference.scheduling.speculation import Speculation
from bot.inference.scheduling.stats import DraftOutcome, DraftSource, SchedulerStats
from bot.inference.scheduling.step_limits import StepLimits

_MAX_OVERTAKEN = 16
"""So many may overtake a sequence for which there is no room yet; then all others wait."""
_NUM_CANDIDATES = 8
"""The first so many in the queue are tried for admission."""
_RANK = attrgetter("is_background", "ticket", "id")
"""The order of the queue."""


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
        lanes: Lanes = (),
        window: int = 0,
        pass_cells: int = 0,
        speculation: Speculation | None = None,
        model_drafts: ModelDrafts | None = None,
        flash_prefill: bool = False,
    ) -> None:
        """``num_slots``: for running and idle sequences and shared prefixes in one pool.

        With ``lanes`` there is no pool: a sequence has a stream of at most ``window`` cells.
        Without ``limits_of`` a step takes as many prompt tokens as it has room for.
        """
        self.max_running = max_running
        self.max_waiting = max_waiting
        self.max_batch = max_batch
        self.limits_of = limits_of or (lambda _num_replies, _num_cells: StepLimits.all(max_batch))
        self._max_prefill = max_batch
        self._num_preempted = self._num_overtaken = self._num_ahead = 0
        self._num_forced = self._num_prefilled = 0
        self._num_drafted: Counter[DraftOutcome] = Counter()
        self._num_cells, self._num_slots = num_cells, max(num_slots, max_running)
        self._lanes, self._window, self._pass_cells = lanes, window, pass_cells
        self._flash_prefill = flash_prefill
        self._reuse, self._saved_states = reuse, saved_states
        self._kv_cache = self._new_kv_cache()
        self._waiting: list[Sequence] = []
        self._tickets = FairQueue()
        self._running: list[Sequence] = []
        self._planner = BatchPlanner(
            self._running, self._kv_cache, self._admit_next, speculation, model_drafts
        )

    @property
    def running(self) -> tuple[Sequence, ...]:
        """Sequences with a slot, oldest first."""
        return tuple(self._running)

    @property
    def waiting(self) -> tuple[Sequence, ...]:
        """Sequences without a slot, in the order of admission."""
        return tuple(self._waiting)

    @property
    def is_full(self) -> bool:
        return len(self._waiting) >= self.max_waiting

    @property
    def stats(self) -> SchedulerStats:
        return SchedulerStats(
            num_preempted=self._num_preempted,
            num_overtaken=self._num_overtaken,
            num_paused=self._planner.pause.num_paused,
            num_ahead=self._num_ahead,
            num_forced=self._num_forced,
            num_prefilled=self._num_prefilled,
            num_drafted=self._num_drafted,
            num_cached_threads=len(self._kv_cache.cached_threads),
            num_cells_used=self._kv_cache.pool.num_used,
            num_cells_attended=self._kv_cache.num_attended,
            num_arranged=self._kv_cache.num_arranged,
            num_moved=self._kv_cache.num_moved,
        )

    def add(self, sequence: Sequence, *, retry_after: float = 5.0) -> None:
        """Queue a sequence; raises QueueFull."""
        if self.is_full:
            raise QueueFull(retry_after)
        sequence.ticket = self._tickets.take(sequence.person)
        insort(self._waiting, sequence, key=_RANK)

    def finish(self, sequence: Sequence, reason: FinishReason) -> None:
        """End a sequence in any status; its slot is free within one step."""
        if sequence.is_finished:
            return
        was_waiting = sequence.status is Status.WAITING
        self._end(sequence, reason)
        if was_waiting:
            self._waiting.remove(sequence)
        else:
            self._running.remove(sequence)
            self._kv_cache.retire(sequence)

    def rest(self) -> None:
        """The engine was idle for a while; see DecodePause."""
        self._planner.pause.is_rested = True

    def plan(self) -> Step | None:
        """The next step, or None when there is nothing to do."""
        self._preempt_background()
        self._make_room_to_decode()
        self._kv_cache.prepare(self._waiting)
        chunks = self._planner.chunks(self._limits, self.max_batch)
        actions = self._kv_cache.take_actions()
        return Step(actions, chunks) if actions or chunks else None

    def plan_ahead(self, step: Step) -> Step | None:
        """What comes after ``step``, which runs: one token more of the same replies, UNSAMPLED.

        None where something else may be due: then it is planned once ``step`` is applied.
        """
        is_busy = len(self._running) == self.max_running
        if self._waiting and not (is_busy and not self._youngest().is_background):
            return None
        chunks = self._planner.ahead(step, self.max_batch)
        return Step([], chunks) if chunks else None

    def take_back(self, step: Step) -> None:
        """Free the cells of the step's chunks, which were not evaluated."""
        for chunk in step.chunks:
            if any(s.slot == chunk.slot for s in self._running):
                self._kv_cache.pool.grow(chunk.slot, -chunk.num_planned)

    def apply(
        self, step: Step, sampled: Mapping[int, list[int]], is_end: Callable[[int], bool]
    ) -> list[Sequence]:
        """Take the results of a step: ``sampled`` maps slot to its tokens.

        Returns the sequences that have a new token, or have ended.
        """
        self._max_prefill = self.max_batch
        self._planner.may_draft = True
        self._num_prefilled += step.num_forced
        self._num_ahead += step.is_ahead
        by_slot = {s.slot: s for s in self._running}
        advanced = []
        for chunk in step.chunks:
            sequence = by_slot.get(chunk.slot)
            if sequence is None:  # finished while the step ran
                continue
            sequence.num_cached += len(chunk.tokens)
            self._kv_cache.promote(sequence)
            if chunk.wants_token:
                self._accept(sequence, chunk, sampled[chunk.slot], is_end)
                advanced.append(sequence)
        return advanced

    def undo(self, step: Step) -> list[Sequence]:
        """The model had no room for ``step``: its actions are done, its chunks are not.

        Drafts are left out; idle cells are evicted, then prefill is halved, then the youngest
        sequence is preempted; a sequence that has no room even alone is failed, and returned.
        """
        self.take_back(step)
        self._planner.may_draft = False
        if step.num_draft or step.requests or self._kv_cache.eviction.evict():
            return []
        if step.num_prefill > 1:
            self._max_prefill = max(1, step.num_prefill // 2)
        elif len(self._running) > 1:
            self._preempt(self._youngest())
        else:
            failed = list(self._running)
            for sequence in failed:
                self.finish(sequence, FinishReason.ERROR)
            return failed
        return []

    def begin_again(self, step: Step, slots: Iterable[int]) -> None:
        """The actions of ``step`` are done, but the states for ``slots`` were refused."""
        self.take_back(step)
        for sequence in [s for s in self._running if s.held_slot in slots]:
            self._kv_cache.release(sequence)
            self._requeue(sequence)
        for slot in slots:
            self._kv_cache.eviction.drop_refused(slot)

    def forget(self, scope: str, thread: str) -> None:
        """Keep none of the thread's cells, nor those of its sequences under way."""
        for sequence in chain(self._waiting, self._running):
            if (sequence.scope, sequence.thread) == (scope, thread):
                sequence.is_forgotten = True
        self._kv_cache.eviction.forget(scope, thread)

    def offload_idle(self) -> Step | None:
        """Evict all idle threads; the step that saves them."""
        self._kv_cache.eviction.offload_all()
        actions = self._kv_cache.take_actions()
        return Step(actions, []) if actions else None

    def lose_everything(self) -> list[Sequence]:
        """The KV pool is lost: all running sequences end with ``error``, and are returned.

        The KVCacheManager may be inconsistent, so it is replaced without being called.
        """
        failed = list(self._running)
        self._running.clear()
        lost, new = self._kv_cache, self._new_kv_cache()
        new.num_arranged, new.num_moved = lost.num_arranged, lost.num_moved
        self._kv_cache = self._planner.kv_cache = new
        for sequence in failed:
            self._end(sequence, FinishReason.ERROR)
        return failed

    def lose_waiting(self, num_first: int | None = None) -> None:
        """The first ``num_first`` waiting sequences, or all, end with ``error``."""
        for sequence in self.waiting[:num_first]:
            self.finish(sequence, FinishReason.ERROR)

    def _end(self, sequence: Sequence, reason: FinishReason) -> None:
        sequence.status = Status.FINISHED
        sequence.finish_reason = reason
        self._tickets.leave(sequence.person)
        self._planner.forget(sequence)

    def _new_kv_cache(self) -> KVCacheManager:
        if self._lanes:
            return StreamKVCache(
                self._lanes,
                num_cells=self._num_cells,
                window=self._window,
                max_running=self.max_running,
                pass_cells=self._pass_cells,
                flash_prefill=self._flash_prefill,
                reuse=self._reuse,
                saved_states=self._saved_states,
            )
        return UnifiedKVCache(
            self._num_cells,
            self._num_slots,
            max_running=self.max_running,
            reuse=self._reuse,
            saved_states=self._saved_states,
        )

    def _accept(
        self, sequence: Sequence, chunk: Chunk, tokens: list[int], is_end: Callable[[int], bool]
    ) -> None:
        """Take the sampled tokens, up to the reply's end.

        Those that the draft said, too, are in the KV pool already; its others are not any more.
        """
        sequence.status = Status.DECODE
        num_accepted = chunk.num_accepted(tokens)
        source: DraftSource = "model" if chunk.request else "lookup"
        self._num_drafted[source, "accepted"] += num_accepted
        self._num_drafted[source, "rejected"] += len(chunk.draft) - num_accepted
        for number, token in enumerate(tokens):
            if not sequence.is_finished:
                sequence.num_cached += 0 < number <= num_accepted
                self._take(sequence, token, is_end)
        if (chunk.draft or chunk.request) and not sequence.is_finished:
            self._kv_cache.pool.trim(chunk.slot, sequence.num_cached)

    def _take(self, sequence: Sequence, token: int, is_end: Callable[[int], bool]) -> None:
        if token == NO_TOKEN:
            self.finish(sequence, FinishReason.ERROR)
            return
        if is_end(token):
            self.finish(sequence, FinishReason.STOP)
            return
        if sequence.max_tokens == 0:  # its prompt is only prefilled
            self.finish(sequence, FinishReason.LENGTH)
            return
        sequence.tokens.append(int(token))
        is_forced = isinstance(token, Forced)
        self._num_forced += is_forced
        if sequence.guard and sequence.guard.add(int(token), is_forced=is_forced):
            self.finish(sequence, FinishReason.LOOPED)
        elif sequence.num_generated >= sequence.max_tokens:
            self.finish(sequence, FinishReason.LENGTH)

    def _admit_next(self, prompt: Sequence | None) -> Sequence | None:
        """Admit the first waiting sequence for which there is room.

        While ``prompt`` is in prefill, only a sequence that may overtake it is admitted.
        """
        passed: list[Sequence] = []
        for sequence in islice(self._waiting, _NUM_CANDIDATES):
            if prompt is not None and not self._overtakes(sequence, prompt):
                return None
            if self._admit(sequence):
                self._waiting.remove(sequence)
                self._tickets.serve(sequence.ticket)
                for other in passed:
                    other.num_overtaken += 1
                self._num_overtaken += len(passed)
                return sequence
            if sequence.num_overtaken >= _MAX_OVERTAKEN:
                return None
            passed.append(sequence)
        return None

    def _overtakes(self, sequence: Sequence, other: Sequence) -> bool:
        if sequence.is_background != other.is_background:
            return other.is_background
        return 2 * self._kv_cache.num_to_evaluate(sequence) < other.num_pending

    def _admit(self, sequence: Sequence) -> bool:
        """Give the sequence a slot, if there is room for it beside the running ones."""
        if self._kv_cache.must_wait(sequence) or not self._has_room(sequence):
            return False
        self._begin(sequence)
        self._kv_cache.allocate(sequence)
        sequence.status = Status.PREFILL
        self._running.append(sequence)
        return True

    def _has_room(self, sequence: Sequence) -> bool:
        return len(self._running) < self.max_running and self._kv_cache.has_room(sequence)

    def _will_have_room(self, sequence: Sequence) -> bool:
        return len(self._running) < self.max_running and self._kv_cache.could_hold(sequence)

    def _begin(self, sequence: Sequence) -> None:
        """What its reply must begin with is evaluated with the prompt."""
        self._num_prefilled += len(sequence.forced)
        for token in sequence.forced:
            self._take(sequence, Forced(token), lambda _: False)
        sequence.forced.clear()

    def _preempt_background(self) -> None:
        """Preempt background work where a person's sequence waits for its place or its cells."""
        first = next(iter(self._waiting), None)
        if first is None or first.is_background:
            return
        while self._running and self._youngest().is_background and not self._will_have_room(first):
            self._preempt(self._youngest())

    def _make_room_to_decode(self) -> None:
        """Make a cell free for each sequence in decode; preempt the youngest if need be."""
        has_room = self._kv_cache.make_room_to_decode
        while not has_room(self._planner.decoding()) and len(self._running) > 1:
            self._preempt(self._youngest())

    def _limits(self, num_replies: int, num_cells: int) -> StepLimits:
        """The only sequence gets full batches, which cost the least."""
        limits = self.limits_of(num_replies, num_cells)
        if len(self._running) + len(self._waiting) == 1:
            limits = limits.undisturbed()
        return limits.at_most(self._max_prefill)

    def _youngest(self) -> Sequence:
        """The sequence that began last; of background work, if there is some."""
        background = [s for s in self._running if s.is_background]
        return (background or self._running)[-1]

    def _preempt(self, sequence: Sequence) -> None:
        """It waits again; its state is saved, or evaluated again later."""
        self._kv_cache.preempt(sequence)
        self._requeue(sequence)
        self._num_preempted += 1

    def _requeue(self, sequence: Sequence) -> None:
        """A sequence that lost its slot goes to the head of its round."""
        self._running.remove(sequence)
        sequence.status = Status.WAITING
        sequence.num_cached = 0
        sequence.ticket = min(sequence.ticket, self._tickets.round)
        insort(self._waiting, sequence, key=_RANK)

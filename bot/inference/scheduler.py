"""Which tokens the next step evaluates. Pure and synchronous: no clock, no I/O, no model.

Decode tokens come first, then prefill chunks up to ``prefill_tokens``, so that a long
prompt never freezes running replies. Admission is fair to people, not to requests: a
person's n-th waiting request stands in the n-th round (start-time fair queueing), and
rounds are served in order of arrival.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterable, Mapping

from bot.errors import QueueFull
from bot.inference.cells import Cells
from bot.inference.sequence import Chunk, Sequence, Status, Step
from bot.types import FinishReason

_HEADROOM = 32
"""Cells kept free per running sequence when another is admitted: room to grow a while."""


def _rank(sequence: Sequence) -> tuple[int, int]:
    return sequence.ticket, sequence.id


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
    ) -> None:
        """``num_slots``: running, idle and shared sequences together. ``reuse``: see Cells."""
        self.max_running = max_running
        self.max_waiting = max_waiting
        self.max_batch = max_batch
        self.prefill_tokens = max_batch
        self.num_preempted = 0
        self._num_cells, self._num_slots = num_cells, max(num_slots, max_running)
        self._reuse = reuse
        self._cells = self._new_cells()
        self._waiting: list[Sequence] = []
        self._running: list[Sequence] = []
        self._round = 0
        self._last_ticket: dict[str, int] = {}

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
    def num_cells_used(self) -> int:
        return self._cells.num_used

    @property
    def num_residents(self) -> int:
        """Idle threads that would go on from where they were."""
        return self._cells.num_residents

    def add(self, sequence: Sequence, *, retry_after: float = 5.0) -> None:
        """Queue a sequence; raises QueueFull."""
        if self.is_full:
            raise QueueFull(retry_after)
        ticket = max(self._round, self._last_ticket.get(sequence.person, -1) + 1)
        sequence.ticket = self._last_ticket[sequence.person] = ticket
        insort(self._waiting, sequence, key=_rank)

    def finish(self, sequence: Sequence, reason: FinishReason) -> None:
        """End a sequence wherever it stands; its place is free within one step."""
        if sequence.is_finished:
            return
        if sequence.status is Status.WAITING:
            self._waiting.remove(sequence)
        else:
            self._running.remove(sequence)
            self._cells.retire(sequence)
        sequence.status = Status.FINISHED
        sequence.finish_reason = reason
        self._forget_person(sequence.person)

    def plan(self) -> Step | None:
        """The next step, or None when there is nothing to do."""
        self._make_room_to_decode()
        chunks = [self._chunk(s, 1) for s in self._running if s.status is Status.DECODE]
        self._admit_and_prefill(chunks, min(self.prefill_tokens, self.max_batch - len(chunks)))
        actions = self._cells.take_actions()
        return Step(actions, chunks) if actions or chunks else None

    def apply(
        self, step: Step, sampled: Mapping[int, int], is_end: Callable[[int], bool]
    ) -> list[Sequence]:
        """Take in what the model did: ``sampled`` maps slot to token. Who has a new token."""
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
        for chunk in step.chunks:
            sequence = next((s for s in self._running if s.slot == chunk.slot), None)
            if sequence is not None:
                self._cells.grow(sequence, -len(chunk.tokens))
        if self._cells.evict():
            return []
        if step.num_prefill > 1:
            self.prefill_tokens = max(1, step.num_prefill // 2)
        elif len(self._running) > 1:
            self._preempt(self._running[-1])
        else:
            return self._fail_running()
        return []

    def lose_everything(self) -> list[Sequence]:
        """The model's memory is lost: who was running ends with ``error``; who they were."""
        failed = self._fail_running()
        self._cells = self._new_cells()
        return failed

    def _new_cells(self) -> Cells:
        return Cells(self._num_cells, self._num_slots, reuse=self._reuse)

    def _fail_running(self) -> list[Sequence]:
        failed = list(self._running)
        for sequence in failed:
            self.finish(sequence, FinishReason.ERROR)
        return failed

    def _accept(self, sequence: Sequence, token: int, is_end: Callable[[int], bool]) -> None:
        sequence.status = Status.DECODE
        if is_end(token):
            self.finish(sequence, FinishReason.STOP)
            return
        sequence.tokens.append(token)
        if sequence.num_generated >= sequence.max_tokens:
            self.finish(sequence, FinishReason.LENGTH)

    def _admit_and_prefill(self, chunks: list[Chunk], budget: int) -> None:
        for sequence in self._running:
            if sequence.status is Status.PREFILL:
                budget -= self._prefill(sequence, chunks, budget)
        while budget > 0 and self._waiting and self._admit(self._waiting[0]):
            sequence = self._waiting.pop(0)
            budget -= self._prefill(sequence, chunks, budget)

    def _prefill(self, sequence: Sequence, chunks: list[Chunk], budget: int) -> int:
        wanted = min(budget, sequence.num_pending)
        self._cells.make_room(wanted)
        num_tokens = min(wanted, self._cells.num_free)
        if num_tokens > 0:
            chunks.append(self._chunk(sequence, num_tokens))
        return max(0, num_tokens)

    def _chunk(self, sequence: Sequence, num_tokens: int) -> Chunk:
        start = sequence.num_cached
        self._cells.grow(sequence, num_tokens)
        tokens = sequence.tokens[start : start + num_tokens]
        return Chunk(sequence.seat, start, tokens, start + num_tokens == len(sequence.tokens))

    def _admit(self, sequence: Sequence) -> bool:
        """Seat the sequence if there is a place and room for it beside who is running."""
        if len(self._running) >= self.max_running or self._cells.must_wait(sequence):
            return False
        promised = sum(s.num_pending for s in self._running if s.status is Status.PREFILL)
        headroom = _HEADROOM * (len(self._running) + 1)
        needed = promised + self._cells.num_needed(sequence) + headroom
        if self._running and not self._cells.could_free(needed, sequence):
            return False
        self._cells.seat(sequence, needed)
        sequence.status = Status.PREFILL
        self._running.append(sequence)
        self._round = max(self._round, sequence.ticket)
        return True

    def _make_room_to_decode(self) -> None:
        self._cells.make_room(self._num_decoding())
        while self._num_decoding() > self._cells.num_free and len(self._running) > 1:
            self._preempt(self._running[-1])

    def _num_decoding(self) -> int:
        return sum(1 for s in self._running if s.status is Status.DECODE)

    def _preempt(self, sequence: Sequence) -> None:
        """Back to the head of its round, to be evaluated again; what it said is kept."""
        self._running.remove(sequence)
        self._cells.leave(sequence)
        sequence.status = Status.WAITING
        sequence.num_cached = 0
        sequence.ticket = min(sequence.ticket, self._round)
        insort(self._waiting, sequence, key=_rank)
        self.num_preempted += 1

    def _forget_person(self, person: str) -> None:
        if not any(s.person == person for s in self._everyone()):
            self._last_ticket.pop(person, None)

    def _everyone(self) -> Iterable[Sequence]:
        yield from self._waiting
        yield from self._running

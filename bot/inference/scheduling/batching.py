"""Which tokens of those who run the next step evaluates. Pure.

Replies under way get a token each, prompts what the limits leave. Prompts are read one after
another, so that first answers start early; one that is less than half as long overtakes, and
what is read longest keeps a share of every step. Background work comes last.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from enum import Enum, auto
from itertools import chain

from bot.inference.core.sequence import Chunk, Sequence, Status
from bot.inference.kv_cache.manager import KVCacheManager
from bot.inference.scheduling.prefill_budget import StepLimits

_YOUNG = 8
"""Tokens that a reply has said at most while it is made to wait: it is hardly on a screen yet."""


class StepKind(Enum):
    """Who has the next step: the prompts, the replies under way, or both."""

    PREFILL = auto()
    DECODE = auto()
    MIXED = auto()


class DecodePause:
    """``num_held``: steps in which replies waited."""

    def __init__(self) -> None:
        self.num_held = 0
        self._num_read = 0
        self._is_rested = False

    def rest(self) -> None:
        """The engine had nothing to do for a while: whoever comes now begins together."""
        self._is_rested = True

    def next_step(
        self, decoding: Collection[Sequence], prompt: Sequence, limits: StepLimits
    ) -> StepKind:
        """``prompt`` is read next. Replies wait for nothing long, and for no background work."""
        if not decoding:
            return StepKind.PREFILL
        at_once = limits.pause if self._is_rested else limits.whole
        num_tokens = prompt.num_pending
        if prompt.is_background or num_tokens > at_once:
            return StepKind.MIXED
        if not self._is_rested and num_tokens <= limits.of_both(num_tokens):
            return StepKind.MIXED
        return StepKind.PREFILL if self._num_read + num_tokens <= at_once else StepKind.DECODE

    def read(self, decoding: Collection[Sequence], chunks: Collection[Chunk]) -> None:
        """A step reads these and nothing else."""
        if decoding:
            self.num_held += 1
            self._num_read += sum(len(chunk.tokens) for chunk in chunks)

    def end(self, decoding: Collection[Sequence]) -> None:
        """These replies go on, by a token each."""
        self._num_read = 0
        if any(sequence.num_generated >= _YOUNG for sequence in decoding):
            self._is_rested = False


_ELDEST_SHARE = 4
"""Of the prefill tokens of a step, a quarter goes to who reads longest, however short others."""

AdmitNext = Callable[[Sequence | None], Sequence | None]
"""Lets somebody in, if there is room; beside a reader only who may overtake it."""

LimitsOf = Callable[[int, int], StepLimits]
"""Of a step in which so many replies may go on, while so many cells are in use."""


def _by_length(sequence: Sequence) -> tuple[bool, int]:
    return sequence.is_background, sequence.num_pending


class BatchPlanner:
    """``running`` is the scheduler's own list; whoever is admitted appears in it."""

    def __init__(
        self, running: list[Sequence], cells: KVCacheManager, admit_next: AdmitNext
    ) -> None:
        self.pause = DecodePause()
        self.cells = cells
        self._running = running
        self._admit_next = admit_next

    def chunks(self, limits_of: LimitsOf, max_batch: int) -> list[Chunk]:
        """At most ``max_batch`` tokens; there are cells for one of every reply under way."""
        decoding = self.decoding()
        room = max_batch - len(decoding)
        readers = self._prompts() if room > 0 else iter(())
        first = next(readers, None)
        if first is None:
            return self._decode(decoding)
        limits = limits_of(len(decoding), self.cells.num_used)
        if decoding and limits.is_owed:
            return self._decode(decoding)
        readers = chain([first], readers)
        match self.pause.next_step(decoding, first, limits):
            case StepKind.PREFILL:
                chunks = self._prefill_prompts(readers, limits.of_prompts(first.num_pending))
                self.pause.read(decoding, chunks)
                return chunks
            case StepKind.DECODE:
                return self._decode(decoding)
            case StepKind.MIXED:
                share = min(room, limits.of_both(first.num_pending))
                return self._decode(decoding) + self._prefill_prompts(readers, share)

    def decoding(self) -> list[Sequence]:
        """The replies under way."""
        return [s for s in self._running if s.status is Status.DECODE]

    def _decode(self, decoding: list[Sequence]) -> list[Chunk]:
        """One token of every reply."""
        self.pause.end(decoding)
        self.cells.make_room(len(decoding))  # who was let in just now may have taken some
        return [self._chunk(sequence, 1) for sequence in decoding]

    def _prefill_prompts(self, readers: Iterator[Sequence], budget: int) -> list[Chunk]:
        chunks: list[Chunk] = []
        eldest = next(iter(self._prefilling()), None)
        spared = budget // _ELDEST_SHARE
        for sequence in readers:
            if sequence is eldest:
                spared = 0
            budget -= self._prefill(sequence, chunks, budget - spared)
            if budget <= spared:
                break
        if eldest and spared:
            self._prefill(eldest, chunks, budget)
        return chunks

    def _prompts(self) -> Iterator[Sequence]:
        """Who reads, the shortest first; whoever waits is admitted when their turn comes."""
        reading = sorted(self._prefilling(), key=_by_length)
        while True:
            admitted = self._admit_next(reading[0] if reading else None)
            if admitted is None and not reading:
                return
            yield admitted or reading.pop(0)

    def _prefilling(self) -> list[Sequence]:
        """Oldest first, background last."""
        reading = [s for s in self._running if s.status is Status.PREFILL]
        return sorted(reading, key=lambda s: s.is_background)

    def _prefill(self, sequence: Sequence, chunks: list[Chunk], budget: int) -> int:
        wanted = min(budget, sequence.num_pending)
        self.cells.make_room(wanted)
        num_tokens = min(wanted, self.cells.num_free)
        if num_tokens > 0:
            chunks.append(self._chunk(sequence, num_tokens))
        return max(0, num_tokens)

    def _chunk(self, sequence: Sequence, num_tokens: int) -> Chunk:
        start = sequence.num_cached
        self.cells.grow(sequence, num_tokens)
        tokens = sequence.tokens[start : start + num_tokens]
        return Chunk(sequence.held_slot, start, tokens, start + num_tokens == len(sequence.tokens))

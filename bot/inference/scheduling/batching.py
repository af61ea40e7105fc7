"""Plans the batch: which tokens of the running sequences the next step evaluates. Pure.

Sequences in decode get a token each; the limits say how many more are prefilled: those that a
grammar has forced upon a reply, and prompts. Prompts are prefilled one after another, so that
the first answers start early; a prompt less than half as long overtakes, and the oldest keeps a
share of every step. Background work comes last.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from enum import Enum, auto
from itertools import chain
from operator import attrgetter

from bot.inference.core.sequence import UNSAMPLED, Chunk, Sequence, Status, Step
from bot.inference.kv_cache.manager import KVCacheManager
from bot.inference.scheduling.model_drafts import ModelDrafts
from bot.inference.scheduling.speculation import Speculation
from bot.inference.scheduling.step_limits import StepLimits

_YOUNG = 8
"""Tokens; a reply with fewer has only begun: it is hardly on a screen yet."""
_ELDEST_SHARE = 4
"""A quarter of a step's prefill goes to the oldest prompt, however short the others are."""
_BY_LENGTH = attrgetter("is_background", "num_pending")

AdmitNext = Callable[[Sequence | None], Sequence | None]
"""Admit a sequence, if there is room; beside a prompt only one that may overtake it."""

LimitsOf = Callable[[int, int], StepLimits]
"""The limits of a step, from the number of replies under way and of cells in use."""


class StepKind(Enum):
    """Whether a step evaluates prompts, a token of each reply under way, or both."""

    PREFILL = auto()
    DECODE = auto()
    MIXED = auto()


class DecodePause:
    """Pauses the decode of replies for short prompts, which are faster in a step of their own.

    ``num_paused`` counts the steps in which replies were paused. ``is_rested``: the engine was
    idle before, so the replies under way began together, and may be paused for longer.
    """

    def __init__(self) -> None:
        self.num_paused = 0
        self.is_rested = False
        self._num_prefilled = 0

    def next_step(
        self, decoding: Collection[Sequence], prompt: Sequence, limits: StepLimits
    ) -> StepKind:
        """``prompt`` is first. Replies are not paused for a long prompt, or a background one."""
        if not decoding:
            return StepKind.PREFILL
        at_once = limits.young_pause if self.is_rested else limits.pause
        num_tokens = prompt.num_pending
        if prompt.is_background or num_tokens > at_once:
            return StepKind.MIXED
        if not self.is_rested and num_tokens <= limits.of_mixed(num_tokens):
            return StepKind.MIXED
        fits = self._num_prefilled + num_tokens <= at_once
        return StepKind.PREFILL if fits else StepKind.DECODE

    def pause(self, chunks: Collection[Chunk]) -> None:
        """The replies are paused in a step with these chunks."""
        self.num_paused += 1
        self._num_prefilled += sum(len(chunk.tokens) for chunk in chunks)

    def end(self, decoding: Collection[Sequence]) -> None:
        """These replies get a token each."""
        self._num_prefilled = 0
        if any(sequence.num_generated >= _YOUNG for sequence in decoding):
            self.is_rested = False


class BatchPlanner:
    """``running`` is the scheduler's own list; ``admit_next`` adds admitted sequences to it.

    ``may_draft``: the last step with drafts had room for them.
    """

    def __init__(
        self,
        running: list[Sequence],
        kv_cache: KVCacheManager,
        admit_next: AdmitNext,
        speculation: Speculation | None,
        model_drafts: ModelDrafts | None = None,
    ) -> None:
        self.pause = DecodePause()
        self.kv_cache = kv_cache
        self.may_draft = True
        self._speculation = speculation
        self._model_drafts = model_drafts
        self._running = running
        self._admit_next = admit_next

    def chunks(self, limits_of: LimitsOf, max_batch: int) -> list[Chunk]:
        """At most ``max_batch`` tokens. A cell must be free for each sequence in decode.

        Drafts are for steps in which no prompt waits.
        """
        decoding = self.decoding()
        room = max_batch - len(decoding)
        prompts = self._prompts() if room > 0 else iter(())
        first = next(prompts, None)
        if first is None and all(sequence.num_pending == 1 for sequence in decoding):
            return self._drafted(decoding, self._decode(decoding), max_batch)
        limits = limits_of(len(decoding), self.kv_cache.num_attended)
        forced = min(room, _forced_share(decoding, limits))
        if first is None:
            return self._drafted(decoding, self._decode(decoding, forced), max_batch)
        if decoding and limits.owes(first.num_pending):
            return self._decode(decoding, forced)
        prompts = chain([first], prompts)
        match self.pause.next_step(decoding, first, limits):
            case StepKind.PREFILL:
                chunks = self._prefill_all(prompts, limits.of_prefill(first.num_pending))
                if decoding:
                    self.pause.pause(chunks)
                return chunks
            case StepKind.DECODE:
                return self._decode(decoding, forced)
            case StepKind.MIXED:
                chunks = self._decode(decoding, min(room // 2, forced))
                room = max_batch - sum(len(chunk.tokens) for chunk in chunks)
                share = min(room, limits.of_mixed(first.num_pending))
                return chunks + self._prefill_all(prompts, share)

    def ahead(self, step: Step, max_batch: int) -> list[Chunk]:
        """A token more of each reply in ``step``, which runs; none where that is not certain.

        Nothing else may be due, and no reply may end, or be forced, or have a draft.
        """
        if step.actions or self.kv_cache.has_actions:
            return []
        decoding = self.decoding()
        is_plain = all(c.is_reply and c.num_planned == 1 and not c.request for c in step.chunks)
        slots = [chunk.slot for chunk in step.chunks]
        if not is_plain or slots != [sequence.slot for sequence in self._running]:
            return []
        if not all(map(_goes_on, decoding)) or len(decoding) != len(self._running):
            return []
        if not self.kv_cache.has_cells_for(decoding) or self._may_draft(decoding, max_batch):
            return []
        self.pause.end(decoding)
        for slot in slots:
            self.kv_cache.pool.grow(slot, 1)
        return [
            Chunk(sequence.held_slot, sequence.num_cached + 1, [UNSAMPLED], True, True)
            for sequence in decoding
        ]

    def _may_draft(self, decoding: list[Sequence], max_batch: int) -> bool:
        """Whether drafts would be worth it, by all that the replies have said so far."""
        if self._speculation is None or not self.may_draft:
            return False
        if self._model_drafts is not None:
            return True
        return bool(self._speculation.drafts(decoding, max_batch - len(decoding)))

    def decoding(self) -> list[Sequence]:
        return [s for s in self._running if s.status is Status.DECODE]

    def forget(self, sequence: Sequence) -> None:
        """The sequence has ended."""
        if self._speculation is not None:
            self._speculation.forget(sequence)
        if self._model_drafts is not None:
            self._model_drafts.forget(sequence)

    def _decode(self, decoding: list[Sequence], budget: int = 0) -> list[Chunk]:
        """A token of each reply, and up to ``budget`` more of those that are forced."""
        self.pause.end(decoding)
        budget = min(budget, sum(sequence.num_pending - 1 for sequence in decoding))
        chunks = []
        for number, sequence in enumerate(decoding, 1):
            wanted, others = min(sequence.num_pending, 1 + budget), len(decoding) - number
            room = self.kv_cache.room_for(sequence, wanted, spared=others)
            chunks.append(self._chunk(sequence, max(1, room)))
            budget -= len(chunks[-1].tokens) - 1
        return chunks

    def _drafted(
        self, decoding: list[Sequence], chunks: list[Chunk], max_batch: int
    ) -> list[Chunk]:
        """The chunks with drafts, as far as there is room."""
        room = max_batch - sum(len(chunk.tokens) for chunk in chunks)
        if self._speculation is None or not self.may_draft:
            return chunks
        whole = [s for s, chunk in zip(decoding, chunks, strict=True) if chunk.wants_token]
        if drafts := self._speculation.drafts(whole, room):
            for sequence in whole:
                draft = drafts.get(sequence.held_slot, [])
                del draft[self.kv_cache.room_for(sequence, len(draft)) :]
                self.kv_cache.pool.grow(sequence.held_slot, len(draft))
            chunks = [replace(chunk, draft=drafts.get(chunk.slot, [])) for chunk in chunks]
        if self._model_drafts is None:
            return chunks
        others = [sequence for sequence in whole if not drafts.get(sequence.held_slot)]
        return self._requested(self._model_drafts, others, chunks, room)

    def _requested(
        self,
        model_drafts: ModelDrafts,
        sequences: list[Sequence],
        chunks: list[Chunk],
        room: int,
    ) -> list[Chunk]:
        """The chunks with what is asked of a draft model for these sequences."""
        num_drafted = sum(len(chunk.draft) for chunk in chunks)
        requests = model_drafts.requests(sequences, len(chunks), num_drafted, room - num_drafted)
        if not requests:
            return chunks
        for sequence in sequences:
            if request := requests.get(sequence.held_slot):
                request.num_tokens = self.kv_cache.room_for(sequence, request.num_tokens)
                self.kv_cache.pool.grow(sequence.held_slot, request.num_tokens)
        return [
            replace(chunk, draft=request.draft, request=request)
            if (request := requests.get(chunk.slot)) and request.num_tokens
            else chunk
            for chunk in chunks
        ]

    def _prefill_all(self, prompts: Iterator[Sequence], budget: int) -> list[Chunk]:
        """The oldest prompt keeps its share of the budget until its turn comes."""
        chunks: list[Chunk] = []
        eldest = next(iter(self._prefilling()), None)
        spared = budget // _ELDEST_SHARE
        for sequence in prompts:
            if sequence is eldest:
                spared = 0
            budget -= self._prefill(sequence, chunks, budget - spared)
            if budget <= spared:
                break
        if eldest and spared:
            self._prefill(eldest, chunks, budget)
        return chunks

    def _prompts(self) -> Iterator[Sequence]:
        """The prompts in prefill, shortest first; waiting sequences are admitted between them."""
        prefilling = sorted(self._prefilling(), key=_BY_LENGTH)
        while True:
            admitted = self._admit_next(prefilling[0] if prefilling else None)
            if admitted is None and not prefilling:
                return
            yield admitted or prefilling.pop(0)

    def _prefilling(self) -> list[Sequence]:
        """Oldest first, background last."""
        prefilling = [s for s in self._running if s.status is Status.PREFILL]
        return sorted(prefilling, key=attrgetter("is_background"))

    def _prefill(self, sequence: Sequence, chunks: list[Chunk], budget: int) -> int:
        """Add a chunk of at most ``budget`` tokens, as far as cells can be freed; its length."""
        wanted = max(0, min(budget, sequence.num_pending))
        num_tokens = self.kv_cache.room_for(sequence, wanted)
        if num_tokens > 0:
            chunks.append(self._chunk(sequence, num_tokens))
        return num_tokens

    def _chunk(self, sequence: Sequence, num_tokens: int) -> Chunk:
        start = sequence.num_cached
        self.kv_cache.pool.grow(sequence.held_slot, num_tokens)
        tokens = sequence.tokens[start : start + num_tokens]
        is_whole = start + num_tokens == len(sequence.tokens)
        is_reply = sequence.status is Status.DECODE
        return Chunk(sequence.held_slot, start, tokens, is_whole, is_reply)


def _goes_on(sequence: Sequence) -> bool:
    """Whether one token more is wanted of it after the one that is being computed."""
    is_free = sequence.grammar is None and sequence.num_pending == 1
    return is_free and sequence.num_generated + 1 < sequence.max_tokens


def _forced_share(decoding: list[Sequence], limits: StepLimits) -> int:
    """Forced tokens for a step: few beside free text, which has none and only waits for them."""
    is_shared = all(sequence.grammar is not None for sequence in decoding)
    return limits.last_prefill if is_shared else limits.mixed

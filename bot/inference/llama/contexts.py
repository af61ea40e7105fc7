"""Contexts: the llama.cpp contexts of one model, a unified pool or one for each lane of streams."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from bot.inference.core.lanes import FIRST_SHELF, Lane, Lanes
from bot.inference.core.model import StepFailed
from bot.inference.core.sequence import Chunk, Move
from bot.inference.llama.context import Context

OpenContext = Callable[[Lane | None], Context]


class Contexts:
    """``lanes`` are those of the beginning and after a reset; none for one unified pool.

    Shared prefixes of streams lie on shelves: states outside the contexts, to be loaded into them.
    """

    def __init__(self, open_context: OpenContext, lanes: Lanes) -> None:
        """Raises ModelError."""
        self._open_context = open_context
        self._lanes = lanes
        self._shelves: dict[int, memoryview] = {}
        self.all = [open_context(lane) for lane in lanes or (None,)]

    @property
    def first(self) -> Context:
        return self.all[0]

    def of(self, slot: int) -> Context:
        """Raises StepFailed where no lane has the slot."""
        if len(self.all) == 1:
            return self.all[0]
        for context in self.all:
            if context.lane and slot in context.lane.slots:
                return context
        raise StepFailed(f"no lane has slot {slot}")

    def split(self, chunks: Sequence[Chunk]) -> Iterator[tuple[Context, list[Chunk]]]:
        """The chunks of each context."""
        if len(self.all) == 1:
            yield self.all[0], list(chunks)
            return
        numbers = {id(context): number for number, context in enumerate(self.all)}
        by_context = sorted(chunks, key=lambda chunk: numbers[id(self.of(chunk.slot))])
        for context, own in groupby(by_context, key=lambda chunk: self.of(chunk.slot)):
            yield context, list(own)

    def remove(self, slot: int, start: int) -> None:
        """Free the slot's cells from ``start`` on, or the whole shelf."""
        if slot >= FIRST_SHELF:
            self._shelves.pop(slot, None)
        else:
            self.of(slot).memory.remove(slot, start)

    def share(self, source: int, target: int, num_tokens: int) -> None:
        if target >= FIRST_SHELF:
            self._shelves[target] = self.of(source).memory.save_first(source, num_tokens)
        elif source >= FIRST_SHELF:
            memory = self.of(target).memory
            self._load(target, self._shelves[source])
            memory.remove(target, num_tokens)
        else:
            self.of(source).memory.share(source, target, num_tokens)

    def move(self, move: Move) -> None:
        """Move the cells of one stream to another, which is empty."""
        memory = self.of(move.source).memory
        if memory.num_tokens(move.source):
            self._load(move.target, memory.save(move.source))
            memory.remove(move.source, 0)

    def arrange(self, lanes: Lanes, moves: Sequence[Move]) -> None:
        """Close the contexts of lanes that go, then open the new ones: never more cells at once.

        Raises ModelError where a new one cannot be had.
        """
        states = {
            move.target: memory.save(move.source)
            for move in moves
            if (memory := self.of(move.source).memory).num_tokens(move.source)
        }
        kept = {}
        for move in moves:
            self.remove(move.source, 0)
        for context in self.all:
            if context.lane in lanes:
                kept[context.lane] = context
            else:
                context.close()
        self.all = list(kept.values())
        for lane in lanes:
            if lane not in kept:
                self.all.append(self._open_context(lane))
        for slot, state in states.items():
            self._load(slot, state)

    def _load(self, slot: int, state: memoryview) -> None:
        if not self.of(slot).memory.load(slot, state):
            raise StepFailed(f"slot {slot} could not take the cells of another")

    def reset(self) -> None:
        """Replace the contexts, and with them the partial state that a failed step left."""
        self.close()
        self.all = [self._open_context(lane) for lane in self._lanes or (None,)]

    def close(self) -> None:
        self._shelves.clear()
        for context in self.all:
            context.close()
        self.all = []

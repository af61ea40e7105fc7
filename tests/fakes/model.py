"""A model that knows letters: one token a character, and llama.cpp's own rules, enforced.

Positions must be consecutive, a slot needs an open chain before it samples, cells are
counted, and a step without room changes nothing. ``script(prompt)`` is what it answers.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from bot.inference.model import NoRoom, StepFailed
from bot.inference.sequence import Chunk, Step
from bot.types import ChatMessage

END = 0


class RuleBroken(BaseException):
    """The engine did what llama.cpp would punish; never caught by the engine's own net."""


class FakeModel:
    """``stepwise``: each step waits until the test allows it with ``allow``."""

    def __init__(
        self,
        script: Callable[[str], str] = lambda _prompt: "ok",
        *,
        window: int = 1_000,
        num_cells: int = 1_000,
        num_slots: int = 4,
        max_batch: int = 64,
        stepwise: bool = False,
    ) -> None:
        self.name = "letters"
        self.window = window
        self.num_cells = num_cells
        self.max_batch = max_batch
        self.steps: list[Step] = []
        self.failures: list[Exception] = []
        self.num_resets = 0
        self.is_closed = False
        self._script = script
        self._num_slots = num_slots
        self._cells: dict[int, list[int]] = {}
        self._chains: set[int] = set()
        self._num_prompt: dict[int, int] = {}
        self._permits = threading.Semaphore(0) if stepwise else None

    @property
    def num_used(self) -> int:
        return sum(map(len, self._cells.values()))

    @property
    def slots_in_use(self) -> set[int]:
        return {slot for slot, cells in self._cells.items() if cells}

    def allow(self, num_steps: int = 1) -> None:
        if self._permits:
            self._permits.release(num_steps)

    def encode(self, messages: Sequence[ChatMessage]) -> list[int]:
        return [ord(c) for m in messages for c in m.content]

    def piece(self, token: int) -> bytes:
        return bytes([token]) if token < 256 else chr(token).encode()

    def is_end(self, token: int) -> bool:
        return token == END

    def run(self, step: Step) -> dict[int, int]:
        if self._permits:
            self._permits.acquire()
        self.steps.append(step)
        for slot in step.released:
            self._cells.pop(slot, None)
            self._chains.discard(slot)
        for opening in step.opened:
            self._open(opening.slot, len(opening.generated))
        if self.failures:
            raise self.failures.pop(0)
        self._check(step.chunks)
        for chunk in step.chunks:
            self._cells[chunk.slot] += chunk.tokens
        return {c.slot: self._sample(c.slot) for c in step.chunks if c.wants_token}

    def reset(self) -> None:
        self.num_resets += 1
        self._cells.clear()
        self._chains.clear()

    def close(self) -> None:
        self.is_closed = True

    def _open(self, slot: int, num_generated: int) -> None:
        _require(slot not in self._cells, f"slot {slot} was taken twice")
        _require(0 <= slot < self._num_slots, f"slot {slot} does not exist")
        self._cells[slot] = []
        self._chains.add(slot)
        self._num_prompt[slot] = -num_generated

    def _check(self, chunks: Sequence[Chunk]) -> None:
        num_tokens = sum(len(c.tokens) for c in chunks)
        _require(num_tokens <= self.max_batch, f"{num_tokens} tokens in one batch")
        slots = [c.slot for c in chunks]
        _require(len(set(slots)) == len(slots), "a slot twice in one batch")
        for chunk in chunks:
            _require(chunk.slot in self._chains, f"slot {chunk.slot} was not opened")
            _require(bool(chunk.tokens), "an empty chunk")
            _require(chunk.start == len(self._cells[chunk.slot]), "positions not consecutive")
        if self.num_used + num_tokens > self.num_cells:
            raise NoRoom

    def _sample(self, slot: int) -> int:
        cells = self._cells[slot]
        if self._num_prompt[slot] <= 0:
            self._num_prompt[slot] += len(cells)
        text = "".join(map(chr, cells))
        prompt, said = text[: self._num_prompt[slot]], text[self._num_prompt[slot] :]
        reply = self._script(prompt)
        return ord(reply[len(said)]) if len(said) < len(reply) else END


def broken_step() -> StepFailed:
    return StepFailed("llama_decode returned -3")


def _require(holds: bool, rule: str) -> None:
    if not holds:
        raise RuleBroken(rule)

"""A model that knows letters: one token a character, and llama.cpp's own rules, enforced.

Positions must be consecutive, a slot needs an open chain before it samples, cells are
counted, those of drafts too, a state goes into an empty slot with room for all of it, and a
step without room changes nothing. ``script(prompt)`` is what it answers; it
reads the prompt from its cells, so cells of somebody else show in the reply.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import Any

from bot.generation import ChatMessage, RawPrompt
from bot.inference.chat_template.tools import HERMES
from bot.inference.core.calls import AnyGrammar
from bot.inference.core.lanes import FIRST_SHELF, Lanes
from bot.inference.core.model import NoRoom, NotRestored, StepFailed, Tag
from bot.inference.core.saved_state import SavedState
from bot.inference.core.sequence import (
    NO_TOKEN,
    Action,
    Arrange,
    Chunk,
    DraftRequest,
    Forced,
    Logprobs,
    Move,
    Offload,
    Opening,
    Release,
    Restore,
    Share,
    Step,
    Trim,
)

END = 0
LOST = "\x02"
"""In a script: here the reply's grammar cannot go on."""
ANSWER = "\x01"
"""Ends every prompt, as the template's opening of an answer does."""


class RuleBroken(BaseException):
    """The engine did what llama.cpp would punish; never caught by the engine's own net."""


class _Cell:
    """One cell of the pool; slots that share it hold the same object."""

    def __init__(self, token: int) -> None:
        self.token = token


class FakeModel:
    """``stepwise``: each step waits until the test allows it with ``allow``.

    ``refuses``: as many of the next states are not accepted. ``state_bytes``: of each token.
    ``forces``: letters that a grammar, whatever it is, leaves no choice for after another;
    ``begins``: what every reply with a grammar begins with. ``drafts_err_at``: its draft model,
    if it has one, errs at every so many letters; it catches up with ``reads`` letters a step.
    """

    def __init__(
        self,
        script: Callable[[str], str] = lambda _prompt: "ok",
        *,
        window: int = 1_000,
        num_cells: int = 1_000,
        num_slots: int = 16,
        can_reuse: bool = True,
        max_batch: int = 64,
        can_follow: bool = True,
        stepwise: bool = False,
        keeps: bool = True,
        fingerprint: str = "letters",
        state_bytes: int = 4,
        open_tag: Tag | None = None,
        forces: str = "",
        begins: str = "",
        lanes: Lanes = (),
        pass_cells: int = 100,
        flash_prefill: bool = False,
        drafts_err_at: int = 0,
        reads: int = 20,
    ) -> None:
        self.name = "letters"
        self.can_draft = drafts_err_at > 0
        self._drafts_err_at, self._reads = drafts_err_at, reads
        self._drafted: dict[int, int] = {}
        self.num_tokens = 0x110000
        self.open_tag = open_tag
        self.calls = HERMES
        self.window = window
        self.num_cells = num_cells
        self.max_batch = max_batch
        self.steps: list[Step] = []
        self.failures: list[Exception] = []
        self.refuses = 0
        self.fingerprint = fingerprint
        self._keeps = keeps
        self._state_bytes = state_bytes
        self.num_resets = 0
        self.is_closed = False
        self._script = script
        self.num_slots = num_slots
        self.lanes, self.pass_cells, self.flash_prefill = lanes, pass_cells, flash_prefill
        self._lanes = lanes
        self.can_reuse = can_reuse
        self._can_follow = can_follow
        self._cells: dict[int, list[_Cell]] = {}
        self._chains: dict[int, int] = {}
        self._logprobs: dict[int, Logprobs | None] = {}
        self._forces, self._begins = forces, begins
        self._is_held: dict[int, bool] = {}
        self._permits = threading.Semaphore(0) if stepwise else None

    @property
    def num_used(self) -> int:
        """Cells; one that slots share counts once."""
        slots = [*self._cells.values()]  # a worker adds to them meanwhile
        return len({id(cell) for cells in slots for cell in [*cells]})

    def answers(self, script: Callable[[str], str]) -> None:
        """From now on."""
        self._script = script

    def allow(self, num_steps: int = 1) -> None:
        if self._permits and num_steps:
            self._permits.release(num_steps)

    def encode(self, messages: Sequence[ChatMessage]) -> list[int]:
        text = "".join(m.content for m in messages)
        return [ord(c) for c in text + ANSWER]

    def encode_raw(self, prompt: RawPrompt) -> list[int]:
        tokens = [ord(c) if isinstance(c, str) else c for c in prompt.content]
        if prompt.suffix is not None:
            tokens += map(ord, f"|{prompt.suffix}")
        return [*tokens, *map(ord, ANSWER[: prompt.adds_special])]

    def texts(self, tokens: Sequence[int]) -> list[bytes]:
        return [chr(token).encode() for token in tokens]

    def detokenize(self, tokens: Sequence[int], *, shows_special: bool) -> str:
        return "".join(chr(token) for token in tokens if shows_special or chr(token) != ANSWER)

    def piece(self, token: int) -> bytes:
        return bytes([token]) if token < 256 else chr(token).encode()

    def is_end(self, token: int) -> bool:
        return token == END

    def can_follow(self, grammar: str) -> bool:
        """The script is what follows a grammar, or does not."""
        return self._can_follow

    def beginning(self, grammar: AnyGrammar) -> list[int]:
        return list(map(ord, self._begins))

    def run(self, step: Step) -> dict[int, list[int]]:
        if self._permits:
            self._permits.acquire()
        self.steps.append(step)
        refused = [s for action in step.actions if (s := self._act(action)) is not None]
        if self.failures and step.chunks:
            raise self.failures.pop(0)
        if refused:
            raise NotRestored(refused)
        self._draft(step)
        self._check(step.chunks)
        for chunk in step.chunks:
            self._write(chunk.slot, [*chunk.tokens, *chunk.draft])
            self._check_stream(chunk.slot)
            del self._cells[chunk.slot][chunk.start + len(chunk.tokens) :]
        return {c.slot: self._verify(c) for c in step.chunks if c.wants_token}

    def _draft(self, step: Step) -> None:
        num_planned = sum(chunk.num_planned for chunk in step.chunks)
        has_cells = bool(self._lanes) or self.num_used + num_planned <= self.num_cells
        _require(has_cells or not step.requests, "cells for a draft that do not exist")
        for chunk in step.chunks:
            if (request := chunk.request) is not None:
                cells = [cell.token for cell in self._cells[chunk.slot]]
                _require(self.can_draft, "a draft of a draft model that is not there")
                _require(request.draft is chunk.draft == [], "a request with a draft")
                _require(request.tokens == [*cells, *chunk.tokens], "the draft of another text")
                self._answer(request)

    def _answer(self, request: DraftRequest) -> None:
        known = min(self._drafted.get(request.sequence, 0), len(request.tokens))
        request.num_caught_up = min(self._reads, len(request.tokens) - known)
        request.num_evaluated = known + request.num_caught_up
        self._drafted[request.sequence] = request.num_evaluated
        if request.num_evaluated == len(request.tokens):
            prompt, said = self._split("".join(map(chr, request.tokens)))
            coming = (self._script(prompt) + chr(END))[len(said) :][: request.num_tokens]
            for number, letter in enumerate(coming, len(said) + 1):
                request.draft.append(ord(letter) + (number % self._drafts_err_at == 0))

    def _write(self, slot: int, tokens: Sequence[int]) -> None:
        self._cells[slot] += [_Cell(token) for token in tokens]

    def _verify(self, chunk: Chunk) -> list[int]:
        """What is said as long as the draft says it, too; the draft's other cells are removed."""
        said, slot = self._sample(chunk.slot), chunk.slot
        num_written = 0
        while len(said) <= len(chunk.draft) and said == chunk.draft[: len(said)]:
            if said[-1] == END:
                break
            self._write(slot, said[num_written:])
            num_written = len(said)
            said += self._sample(slot)
        self._write(slot, said[num_written : chunk.num_accepted(said)])
        return said

    def reset(self) -> None:
        self.num_resets += 1
        self._cells.clear()
        self._chains.clear()
        self._lanes = self.lanes

    def close(self) -> None:
        self.is_closed = True

    def keeps_states(self) -> bool:
        _require(not self._cells, "the check needs an empty pool")
        return self._keeps

    def _offload(self, slot: int, saved: SavedState) -> None:
        tokens = [cell.token for cell in self._cells[slot]]
        _require(tokens == saved.tokens, "the cells are not those that are to be offloaded")
        state = b"".join(token.to_bytes(self._state_bytes, "big") for token in tokens)
        saved.state, saved.num_bytes = memoryview(state), len(state)

    def _restore(self, action: Restore) -> int | None:
        """The slot, if its state is refused."""
        slot, saved = action.slot, action.saved
        _require(not self._cells.get(slot), f"slot {slot} holds cells already")
        _require(saved.state is not None, "restored from a state that is not in memory")
        if self.refuses:
            self.refuses -= 1
            return slot
        room = self.num_cells - self.num_used
        _require(bool(self._lanes) or len(saved.tokens) <= room, "no room for a state in the pool")
        self._cells[slot] = [_Cell(token) for token in self._tokens_of(saved)]
        self._check_stream(slot)
        _require(action.num_tokens <= len(saved.tokens), "kept more than was restored")
        del self._cells[slot][action.num_tokens :]
        if action.prefix is not None:
            shared = self._cells[action.prefix][: action.num_shared]
            own = self._cells[slot][: action.num_shared]
            _require([c.token for c in shared] == [c.token for c in own], "not its prefix")
            self._cells[slot][: action.num_shared] = shared
        return None

    def _tokens_of(self, saved: SavedState) -> list[int]:
        data, size = bytes(saved.state or b""), self._state_bytes
        parts = (data[i : i + size] for i in range(0, len(data), size))
        return [int.from_bytes(part, "big") for part in parts]

    def _act(self, action: Action) -> int | None:
        """The slot of a state that was refused."""
        match action:
            case Offload(slot, saved):
                self._offload(slot, saved)
            case Restore():
                return self._restore(action)
            case Release(slot):
                self._cells.pop(slot, None)
                self._chains.pop(slot, None)
            case Trim(slot, num_tokens):
                _require(num_tokens <= len(self._cells.get(slot, [])), "trimmed beyond its end")
                del self._cells[slot][num_tokens:]
                self._chains.pop(slot, None)
            case Share(source, target, num_tokens):
                self._share(source, target, num_tokens)
            case Move():
                self._move([action])
            case Arrange(lanes, moves):
                self._arrange(lanes, moves)
            case Opening(slot, _, generated):
                self._logprobs[slot] = action.logprobs
                self._is_held[slot] = action.grammar is not None and action.logprobs is None
                self._check_stream(slot)
                exists = self._lanes or 0 <= slot < self.num_slots
                _require(bool(exists), f"slot {slot} does not exist")
                self._cells.setdefault(slot, [])
                self._chains[slot] = len(generated)
        return None

    def _share(self, source: int, target: int, num_tokens: int) -> None:
        """Streams share nothing: shelves hold what they have in common, as copies."""
        _require(not self._cells.get(target), f"slot {target} holds cells already")
        _require(num_tokens <= len(self._cells[source]), "shared more than there is")
        cells = self._cells[source][:num_tokens]
        if self._lanes:
            is_by_shelf = (source >= FIRST_SHELF) != (target >= FIRST_SHELF)
            _require(is_by_shelf, "a part of a stream cannot be copied to another")
            cells = [_Cell(cell.token) for cell in cells]
        self._cells[target] = cells
        self._check_stream(target)

    def _move(self, moves: Sequence[Move]) -> None:
        by_slot: tuple[dict[int, Any], ...] = (
            self._cells, self._chains, self._logprobs, self._is_held
        )  # fmt: skip
        for kept in by_slot:
            moved = [(m.target, kept.pop(m.source)) for m in moves if m.source in kept]
            full = [slot for slot, _ in moved if self._cells.get(slot)]
            _require(kept is not self._cells or not full, f"slots {full} are not empty")
            kept |= moved
        for move in moves:
            self._check_stream(move.target)

    def _arrange(self, lanes: Lanes, moves: Sequence[Move]) -> None:
        cells = sum(lane.num_cells for lane in lanes)
        _require(cells <= self.num_cells, "the lanes have more cells than the pool")
        kept = [lane for lane in self._lanes if lane in lanes]
        slots = [slot for lane in lanes for slot in lane.slots]
        _require(len(slots) == len(set(slots)), "two lanes have the same slots")
        sources = {move.source for move in moves}
        going = [s for lane in self._lanes if lane not in kept for s in lane.slots]
        left = [s for s in going if s not in sources and self._cells.get(s)]
        _require(not left, f"the lane of slots {left} goes, and they hold cells")
        self._lanes = lanes
        self._move(moves)

    def _check_stream(self, slot: int) -> None:
        if not self._lanes or slot >= FIRST_SHELF:
            return
        lane = next((lane for lane in self._lanes if slot in lane.slots), None)
        _require(lane is not None, f"no lane has slot {slot}")
        assert lane
        fits = len(self._cells.get(slot, [])) <= lane.stream_cells
        _require(fits, f"slot {slot} has more cells than its stream")

    def _check(self, chunks: Sequence[Chunk]) -> None:
        num_tokens = sum(c.num_cells for c in chunks)
        _require(num_tokens <= self.max_batch, f"{num_tokens} tokens in one batch")
        slots = [c.slot for c in chunks]
        _require(len(set(slots)) == len(slots), "a slot twice in one batch")
        for chunk in chunks:
            _require(chunk.slot in self._chains, f"slot {chunk.slot} was not opened")
            _require(bool(chunk.tokens), "an empty chunk")
            _require(self.can_reuse or not chunk.draft, "a draft that could not be removed")
            _require(chunk.wants_token or not chunk.draft, "a draft after half a prompt")
            _require(chunk.start == len(self._cells[chunk.slot]), "positions not consecutive")
        if self._lanes:
            return
        if self.num_used + num_tokens > self.num_cells:
            raise NoRoom

    def _sample(self, slot: int) -> list[int]:
        """The script's next letter after what the sequence said; its cells are its memory."""
        text = "".join(chr(cell.token) for cell in self._cells[slot])
        prompt, said = self._split(text)
        reply = self._script(prompt)
        _require(reply.startswith(said), f"{said!r} was never said")
        coming = reply[len(said) :] + chr(END)
        letter = coming[0]
        if wanted := self._logprobs[slot]:
            likeliest = [
                (ord(other), -float(n)) for n, other in enumerate("abcde"[: wanted.num_top])
            ]
            wanted.noted.append([(ord(letter), -len(said) / 2), *likeliest])
        if letter == LOST:
            return [NO_TOKEN]
        forced = takewhile(self._forces.__contains__, coming[1:]) if self._is_held[slot] else ""
        return [ord(letter), *(Forced(ord(each)) for each in forced)]

    def _split(self, text: str) -> tuple[str, str]:
        prompt, _, said = text.rpartition(ANSWER)
        return prompt, said


def broken_step() -> StepFailed:
    return StepFailed("llama_decode returned -3")


def _require(holds: bool, rule: str) -> None:
    if not holds:
        raise RuleBroken(rule)

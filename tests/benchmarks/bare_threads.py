"""The bare loop that knows the threads: no server, no event loop, no policy but first come.

It keeps each thread's cells, shares the system prompt's, parks idle threads in memory, reads
prompts in pieces beside the running replies, and samples with Parley's chains.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from bot.generation import ChatMessage, Sampling
from bot.inference.core.sequence import Action, Chunk, Opening, Step
from bot.inference.engine.intake import PromptEncoder
from bot.inference.llama.model import LlamaModel
from bot.inference.llama.options import LlamaOptions
from bot.inference.model_files import locate
from tests.benchmarks.bare_seats import Prefix, Seats
from tests.benchmarks.chat_load import Reply

CHUNK = 256
"""Prompt tokens of a step at most."""
MAX_CELLS = 8_000
"""Every step's attention runs over all cells in use: beyond this, idle threads are parked."""
_GREEDY = Sampling(temperature=0.0)

Asked = tuple[str, Sequence[ChatMessage]]
"""A thread's name, and all that was said in it."""


@dataclass(slots=True, eq=False)
class _Turn:
    """``tokens`` are the prompt and what is said; ``num_cached`` of them are evaluated."""

    thread: str
    slot: int
    tokens: list[int]
    num_cached: int
    begun_at: float
    num_prompt: int
    reply: Reply = field(default_factory=Reply)
    said: bytearray = field(default_factory=bytearray)

    @property
    def is_decoding(self) -> bool:
        return len(self.tokens) > self.num_prompt

    def chunk(self, num_tokens: int) -> Chunk:
        start, end = self.num_cached, self.num_cached + num_tokens
        return Chunk(self.slot, start, self.tokens[start:end], end == len(self.tokens))


class BareThreads(LlamaModel):
    def __init__(self, options: LlamaOptions, max_cells: int = MAX_CELLS) -> None:
        super().__init__(locate.locate(locate.EMBEDDED), options)
        self.seats = Seats(self._context.native, self.num_slots, max_cells)
        self._prompts = PromptEncoder(self)
        self._prefixes: dict[tuple[int, ...], Prefix] = {}
        self._actions: list[Action] = []
        self._running: list[_Turn] = []

    def serve(self, asked: Sequence[Asked], *, at_once: int, max_tokens: int) -> list[Reply]:
        """Replies in the order of ``asked``; a turn's time runs from when it is let in."""
        waiting, begun = deque(asked), []
        while waiting or self._running:
            let_in_at = time.perf_counter()  # all who are let in at once began to wait at once
            while waiting and len(self._running) < at_once:
                begun.append(self._begin(*waiting.popleft(), let_in_at))
                self._running.append(begun[-1])
            self._step(max_tokens)
        return [turn.reply for turn in begun]

    def _begin(self, thread: str, messages: Sequence[ChatMessage], begun_at: float) -> _Turn:
        tokens, num_prefix = self._prompts.encode(messages)
        prefix = self._prefix(tokens[:num_prefix])
        slot, num_cached = self.seats.take(thread, tokens, prefix)
        self._actions.append(Opening(slot, _GREEDY, []))
        return _Turn(thread, slot, tokens, num_cached, begun_at, len(tokens))

    def _prefix(self, tokens: list[int]) -> Prefix:
        """Evaluated when it is met for the first time."""
        found = self._prefixes.get(tuple(tokens))
        if found is None:
            slot = self.seats.take_slot()
            for start in range(0, len(tokens), CHUNK):
                self.run(Step([], [Chunk(slot, start, tokens[start : start + CHUNK], False)]))
            found = self._prefixes[tuple(tokens)] = Prefix(slot, len(tokens))
        return found

    def _step(self, max_tokens: int) -> None:
        chunks = self._plan()
        actions, self._actions = self._actions, []
        sampled = self.run(Step(actions, chunks))
        turns = {turn.slot: turn for turn in self._running}
        for chunk in chunks:
            turn = turns[chunk.slot]
            turn.num_cached += len(chunk.tokens)
            if chunk.wants_token:
                self._accept(turn, sampled[chunk.slot][0], max_tokens)

    def _plan(self) -> list[Chunk]:
        """One token of every reply, then prompts in the order in which they came."""
        chunks, budget = [turn.chunk(1) for turn in self._running if turn.is_decoding], CHUNK
        for turn in self._running:
            num_tokens = min(budget, len(turn.tokens) - turn.num_cached)
            if num_tokens and not turn.is_decoding:
                chunks.append(turn.chunk(num_tokens))
                budget -= num_tokens
        return chunks

    def _accept(self, turn: _Turn, token: int, max_tokens: int) -> None:
        at, reply = time.perf_counter() - turn.begun_at, turn.reply
        is_end = self.is_end(token)
        if not is_end:
            turn.tokens.append(token)
            turn.said += self.piece(token)
            reply.take("", at)
        if is_end or reply.chunks >= max_tokens:
            self._end(turn, at)

    def _end(self, turn: _Turn, at: float) -> None:
        self._running.remove(turn)
        self.seats.leave(turn.thread, turn.num_cached)
        reply = turn.reply
        reply.total, reply.tokens = at, reply.chunks
        reply.ttft = at if reply.ttft is None else reply.ttft
        reply.text = turn.said.decode("utf-8", "replace")

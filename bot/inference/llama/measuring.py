"""Measures how fast this processor computes with a model, in contexts that live for a moment.

Replies are measured at a depth of a thousand tokens, though only ``_UNIT`` tokens are evaluated:
the state of those is loaded many times over, into sequences that are then shared with one.
It does not matter that a position is there several times, since only time is measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any

import llama_cpp as llama

from bot.errors import ModelError
from bot.inference.core.lanes import Lane
from bot.inference.core.model import StepFailed
from bot.inference.core.sequence import Chunk
from bot.inference.llama.context import Batch, Memory, context_params
from bot.inference.llama.options import MAX_UBATCH, SMALL_UBATCH, Attention, KVLayout, LlamaOptions
from bot.inference.llama.tuning import (
    CPU_DEFAULT,
    DEPTH,
    STREAM_CELLS,
    Figure,
    Tuning,
    TuningSpace,
    num_replies,
    race,
)

_UNIT = 32
_SLOW_UNIT = 0.2
"""Seconds of a unit from which on prompts are not measured."""
_LONG = 0.3
"""Seconds of steps after which no further one is timed."""
_PROMPT = 64
_PROMPT_CELLS = 1_536
_LONG_DEPTH, _LONG_CELLS = 3_072, 3_584
"""Tokens before a piece of a long prompt, and cells for both. A piece is a whole micro-batch, for
flash attention is the faster the larger that is."""
_FASTER = 1.05
_PASS_CELLS = range(256, 32_768)

Say = Callable[[str], None]
"""Reports the next work, as the beginning of a sentence in the past."""


class Measurement:
    """Compares candidates with the native ``model``. A context is freed before the next one."""

    def __init__(self, model: Any, options: LlamaOptions, say: Say) -> None:
        self._model = model
        self._num_replies = num_replies(options)
        self._say = say
        self._states: dict[Attention, memoryview] = {}
        self._seconds: dict[tuple[object, ...], float] = {}
        self._processors = _Processors()
        self._reads_prompts = True
        self._has_prompt_cells = options.num_cells >= _PROMPT_CELLS
        self._has_long_cells = options.num_cells >= _LONG_CELLS

    def run(self, space: TuningSpace) -> Tuning:
        """Raises ModelError, NoRoom or StepFailed."""
        num_threads = space.num_threads[0]
        layouts = space.kv_layout if self._num_replies > 1 else space.kv_layout[:1]
        pairs = product(space.attention, layouts)
        candidates = [_Candidate(*pair, num_threads) for pair in pairs]
        default = next((each for each in candidates if each.is_default), candidates[0])
        chosen = race(candidates, default, self._measure, self._speed)
        teams = [replace(chosen, num_threads=num) for num in space.num_threads]
        chosen = race(teams, chosen, self._measure, self._speed)
        if not self._has(chosen):
            self._measure(chosen)
        max_ubatch = self._fastest_ubatch(chosen, space.max_ubatch)
        is_flash = self._reads_faster_with_flash(chosen, max_ubatch, space)
        measured = filter(self._has, dict.fromkeys((*candidates, *teams)))
        figures = tuple(map(self._figure, measured))
        choice = {
            **asdict(chosen),
            "max_ubatch": max_ubatch,
            "flash_prefill": is_flash,
            **self._pass_cells(chosen),
        }
        tuning = Tuning(choice, figures, self._num_replies, DEPTH, share=self._processors.share)
        return replace(tuning, choice=asdict(default)) if tuning.is_disturbed else tuning

    def _measure(self, candidate: _Candidate) -> None:
        self._say(f"measured {candidate}")
        self._measure_one(candidate)
        num = self._num_replies
        with self._scratch(candidate, num, num * STREAM_CELLS) as scratch:
            scratch.step(range(num))
            self._note(scratch.best(range(num), 3), "begun", candidate)
            for slot in range(num):
                scratch.load(slot, self._deep(candidate))
            self._note(scratch.best(range(num), 2), "together", candidate)
            if self._reads_prompts:
                self._note(scratch.step([0], _PROMPT), "prompt", candidate)

    def _measure_one(self, candidate: _Candidate) -> None:
        """Alone, so that the layout does not matter."""
        with self._scratch(candidate.unified, 1, STREAM_CELLS) as scratch:
            scratch.step([0])
            self._note(scratch.best([0], 3), "shallow", candidate.unified)
            scratch.load(0, self._deep(candidate))
            self._note(scratch.best([0], 4), "alone", candidate.unified)

    def _fastest_ubatch(self, candidate: _Candidate, sizes: Sequence[int]) -> int:
        """The first, unless another one is clearly faster: each is a step of a second or two."""
        if not (self._reads_prompts and self._has_prompt_cells and len(sizes) > 1):
            return sizes[0]
        seconds = {size: self._read(candidate, size) / size for size in sizes}
        best = min(sizes, key=seconds.__getitem__)
        return best if seconds[sizes[0]] > _FASTER * seconds[best] else sizes[0]

    def _read(self, candidate: _Candidate, size: int) -> float:
        self._say(f"measured prompts in pieces of {size}")
        with self._scratch(candidate.unified, 1, _PROMPT_CELLS, size) as scratch:
            scratch.load(0, self._deep(candidate))
            return scratch.step([0], size)

    def _reads_faster_with_flash(
        self, chosen: _Candidate, max_ubatch: int, space: TuningSpace
    ) -> bool:
        """Whether flash attention is faster for a long prompt, where it is not for replies."""
        flash = replace(chosen, attention=Attention.FLASH)
        is_choice = chosen.is_default and Attention.FLASH in space.attention
        if not (is_choice and self._reads_prompts and self._has_long_cells):
            return False
        for candidate, size in ((chosen, max_ubatch), (flash, MAX_UBATCH)):
            self._say(f"measured a long prompt with {candidate.attention} attention")
            with self._scratch(candidate.unified, 1, _LONG_CELLS, size) as scratch:
                scratch.load(0, self._make_deep(candidate.unified, _LONG_DEPTH))
                self._note(scratch.step([0], size) / size, "long", candidate)
        return self._seconds["long", chosen] > _FASTER * self._seconds["long", flash]

    def _note(self, seconds: float, *what: object) -> None:
        """The shortest of several times counts: the others were disturbed."""
        self._seconds[what] = min(seconds, self._seconds.get(what, seconds))

    def _has(self, candidate: _Candidate) -> bool:
        return ("together", candidate) in self._seconds

    def _figure(self, candidate: _Candidate) -> Figure:
        seconds, num = self._seconds, self._num_replies
        prompt = seconds.get(("prompt", candidate))
        return Figure(
            *(candidate.attention, candidate.kv_layout, candidate.num_threads),
            alone=1 / seconds["alone", candidate.unified],
            together=num / seconds["together", candidate],
            begun_alone=1 / seconds["shallow", candidate.unified],
            begun_together=num / seconds["begun", candidate],
            prefill=_PROMPT / prompt if prompt else 0,
        )

    def _speed(self, candidate: _Candidate) -> float:
        return self._figure(candidate).speed

    def _pass_cells(self, candidate: _Candidate) -> dict[str, int]:
        """Nothing if the two depths take too similar a time to tell."""
        shallow = self._seconds["shallow", candidate.unified]
        deeper = self._seconds["alone", candidate.unified] - shallow
        cells = int(DEPTH * shallow / deeper) if deeper > 0 else 0
        return {"pass_cells": cells} if cells in _PASS_CELLS else {}

    def _deep(self, candidate: _Candidate) -> memoryview:
        if candidate.attention not in self._states:
            self._states[candidate.attention] = self._make_deep(candidate.unified)
        return self._states[candidate.attention]

    def _make_deep(self, candidate: _Candidate, depth: int = DEPTH) -> memoryview:
        """The state of a sequence with ``depth`` cells, whose last position is ``_UNIT - 1``."""
        num = depth // _UNIT
        with self._scratch(candidate, num, depth) as scratch:
            scratch.step([0])
            seconds = scratch.step([0], _UNIT - 1)
            if not self._states:
                self._reads_prompts = seconds <= _SLOW_UNIT
            memory = scratch.memory
            unit = memory.save(0)
            for slot in range(1, num):
                scratch.load(slot, unit)
                memory.share(slot, 0, _UNIT)
                memory.remove(slot, 0)
            return memory.save(0)

    @contextmanager
    def _scratch(
        self,
        candidate: _Candidate,
        num_sequences: int,
        num_cells: int,
        max_ubatch: int = SMALL_UBATCH,
    ) -> Iterator[_Scratch]:
        is_unified = candidate.kv_layout == KVLayout.UNIFIED
        options = LlamaOptions(
            num_threads=candidate.num_threads,
            attention=candidate.attention,
            max_ubatch=max_ubatch,
        )
        params = context_params(
            options, num_cells=num_cells, num_sequences=num_sequences, is_unified=is_unified
        )
        native = llama.llama_init_from_model(self._model, params)
        if not native:
            raise ModelError(f"no context could be made for {candidate}")
        num_streams = 1 if is_unified else num_sequences
        try:
            lane = Lane(0, num_streams, num_cells // num_streams)
            yield _Scratch(native, lane, self._processors, candidate.num_threads)
        finally:
            llama.llama_free(native)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A candidate in which replies are measured."""

    attention: Attention
    kv_layout: KVLayout
    num_threads: int

    def __str__(self) -> str:
        return f"{self.attention} attention, {self.kv_layout}, {self.num_threads} threads"

    @property
    def is_default(self) -> bool:
        return (self.attention, self.kv_layout) == CPU_DEFAULT

    @property
    def unified(self) -> _Candidate:
        return replace(self, kv_layout=KVLayout.UNIFIED)


class _Processors:
    """How much of the processors' time the steps got, of what their threads could have used."""

    def __init__(self) -> None:
        self._wanted = self._got = 0.0

    def note(self, wanted: float, got: float) -> None:
        """In seconds of one processor."""
        self._wanted, self._got = self._wanted + wanted, self._got + got

    @property
    def share(self) -> float:
        return min(1.0, self._got / self._wanted) if self._wanted else 1.0


class _Scratch:
    """A native context, and where its sequences end. Its ``lane`` makes states suit all others."""

    def __init__(self, native: Any, lane: Lane, processors: _Processors, num_threads: int) -> None:
        self._native = native
        self._processors, self._num_threads = processors, num_threads
        self._batch = Batch(MAX_UBATCH)
        self._ends: dict[int, int] = {}
        self.memory = Memory(native, lane)

    def load(self, slot: int, state: memoryview) -> None:
        if not self.memory.load(slot, state):
            raise StepFailed("a state could not be loaded")
        self._ends[slot] = _UNIT

    def best(self, slots: Sequence[int], num_steps: int) -> float:
        """The seconds of the fastest of so many steps, or of fewer where they take long."""
        times = [self.step(slots)]
        while len(times) < num_steps and sum(times) < _LONG:
            times.append(self.step(slots))
        return min(times)

    def step(self, slots: Sequence[int], num_tokens: int = 1) -> float:
        """The seconds that it takes to evaluate that many tokens more of each."""
        chunks = [
            Chunk(slot, self._ends.get(slot, 0), list(range(1, num_tokens + 1)), True)
            for slot in slots
        ]
        self._ends |= {chunk.slot: chunk.start + num_tokens for chunk in chunks}
        self._batch.fill(chunks)
        begun, used = time.perf_counter(), time.process_time()
        if code := llama.llama_decode(self._native, self._batch.native):
            raise StepFailed(f"llama_decode returned {code}")
        llama.llama_synchronize(self._native)
        seconds = time.perf_counter() - begun
        self._processors.note(seconds * self._num_threads, time.process_time() - used)
        return seconds

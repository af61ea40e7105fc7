"""Saving and restoring with the real llama.cpp."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from bot.generation import ChatMessage, Finished, GenerationRequest, Sampling
from bot.inference.core.model import NotRestored
from bot.inference.core.saved_state import SavedState
from bot.inference.core.sequence import (
    Action,
    Chunk,
    Offload,
    Opening,
    Release,
    Restore,
    Step,
    Trim,
)
from bot.inference.engine.offloading import OffloadOptions
from bot.inference.engine.service import InferenceService
from bot.inference.gguf import fingerprint
from bot.inference.llama import state_check
from bot.inference.llama.model import LlamaModel
from bot.inference.llama.options import KVLayout, LlamaOptions
from bot.inference.model_files import locate
from bot.metrics import Metrics

GREEDY = Sampling(temperature=0)
SHARED, OWN = 1_000, 100
LOGIT_TOLERANCE = 1.0
"""Other sequences beside it change the rounding."""


def load(num_cells: int, layout: KVLayout = KVLayout.UNIFIED) -> LlamaModel:
    options = LlamaOptions(num_cells=num_cells, max_running=4, num_threads=1, kv_layout=layout)
    return LlamaModel(locate.locate("smollm2"), options)


@pytest.fixture(scope="module")
def model() -> Iterator[LlamaModel]:
    model = load(4_096)
    yield model
    model.close()


def evaluate(model: LlamaModel, slot: int, tokens: list[int]) -> None:
    for start in range(0, len(tokens), 500):
        chunk = Chunk(slot, start, tokens[start : start + 500], False)
        model.run(Step([Opening(slot, GREEDY, [])], [chunk]))


@pytest.mark.model
def test_twenty_threads_with_a_long_common_prompt_fit_into_a_pool_for_three(
    model: LlamaModel,
) -> None:
    tokens = [100 + 7 * n % 3_000 for n in range(SHARED + OWN)]
    evaluate(model, 0, tokens)
    saved = SavedState("", "1", tokens)
    model.run(Step([Offload(0, saved)], []))
    alone = model.logits(Chunk(0, len(tokens), [42], True))
    model.run(Step([Trim(0, SHARED)], []))
    restored: list[Action] = [Restore(slot, saved, len(tokens), 0, SHARED) for slot in range(1, 21)]
    model.run(Step(restored, []))
    crowded = [model.logits(Chunk(slot, len(tokens), [42], True)) for slot in (1, 20)]
    model.run(Step([Release(slot) for slot in range(21)], []))
    assert saved.num_bytes > 20_000_000
    assert max(np.abs(each - alone).max() for each in crowded) < LOGIT_TOLERANCE
    best = [alone[each.argmax()] for each in crowded]
    assert min(best) > alone.max() - LOGIT_TOLERANCE


@pytest.mark.model
def test_a_sequence_that_is_saved_and_restored_alone_continues_bit_identically(
    model: LlamaModel,
) -> None:
    tokens = model.encode([ChatMessage("user", "Name three harbours. " * 5)])
    evaluate(model, 3, tokens)
    state = model.save(3)
    before = model.logits(Chunk(3, len(tokens), [42], True))
    model.clear(3)
    assert model.load(3, state)
    after = model.logits(Chunk(3, len(tokens), [42], True))
    model.clear(3)
    assert np.array_equal(before, after)
    assert model.keeps_states()


@pytest.mark.model
def test_a_state_fits_between_other_sequences_cells(model: LlamaModel) -> None:
    small, large = SavedState("", "1", [100] * 128), SavedState("", "2", [100] * 384)
    for saved in (small, large):
        evaluate(model, 0, saved.tokens)
        model.run(Step([Offload(0, saved), Release(0)], []))
    full: list[Action] = [Restore(slot, small, 128) for slot in range(32)]
    model.run(Step([*full, *(Release(slot) for slot in range(0, 32, 2))], []))
    model.run(Step([Restore(32, large, 384)], [Chunk(32, 384, [42], False)]))
    model.run(Step([Release(slot) for slot in (*range(1, 32, 2), 32)], []))


@pytest.mark.model
def test_a_state_without_room_or_cut_off_is_refused_and_leaves_nothing(model: LlamaModel) -> None:
    tokens = [100] * 400
    evaluate(model, 0, tokens)
    saved = SavedState("", "1", tokens)
    model.run(Step([Offload(0, saved)], []))
    assert saved.state is not None
    cut = SavedState("", "1", tokens, saved.state[:-1_000])
    with pytest.raises(NotRestored) as refusal:
        model.run(Step([Restore(1, cut, 400)], [Chunk(0, 400, [42], False)]))
    assert refusal.value.slots == (1,)
    for slot in range(1, 10):
        model.run(Step([Restore(slot, saved, 400)], []))
    with pytest.raises(NotRestored):
        model.run(Step([Restore(10, saved, 400)], []))
    model.run(Step([Release(slot) for slot in range(1, 11)], [Chunk(0, 400, [42], False)]))
    model.run(Step([Release(0)], []))


@pytest.mark.model
def test_the_fingerprint_depends_on_the_file_and_on_the_layout_of_a_state(
    model: LlamaModel, tmp_path: Path
) -> None:
    other = load(2_048)
    same = load(4_096)
    try:
        assert model.fingerprint == same.fingerprint != other.fingerprint
    finally:
        other.close()
        same.close()
    path = tmp_path / "file"
    path.write_bytes(bytes(5_000_000))
    before = fingerprint.of(path, "build")
    assert fingerprint.of(path, "other build") != before
    with path.open("r+b") as file:
        file.seek(-10, 2)
        file.write(b"x")
    assert fingerprint.of(path, "build") != before


@pytest.mark.model
@pytest.mark.parametrize("layout", KVLayout)
async def test_a_thread_is_restored_after_a_restart_with_the_real_model(
    tmp_path: Path, layout: KVLayout
) -> None:
    options = OffloadOptions(1 << 30, 1 << 30, tmp_path / "parked", min_gain=0.0)
    system = ChatMessage("system", "You are a kind harbour master and answer briefly. " * 4)
    turns = [system, ChatMessage("user", "Which boats are in? " * 10)]

    async def ask(metrics: Metrics, *messages: ChatMessage) -> Finished:
        model = await asyncio.to_thread(load, 1_024, layout)
        service = InferenceService(model, metrics, max_running=2, max_waiting=2, offloading=options)
        async with service:
            asked = GenerationRequest(
                messages=messages, person="ada", thread="1", sampling=GREEDY, max_tokens=4
            )
            async for event in await service.generate(asked):
                if isinstance(event, Finished):
                    return event
        raise AssertionError("the stream ended without Finished")

    first = await ask(Metrics(), *turns)
    metrics = Metrics()
    again = await ask(metrics, *turns, ChatMessage("assistant", "Two."), ChatMessage("user", "Go."))
    assert again.usage.cached_tokens > 0.9 * first.usage.prompt_tokens
    assert metrics.registry.get_sample_value("parley_restored_total", {"tier": "disk"}) == 1


class Changing:
    """After restoring one logit differs by ``change``; or it refuses states."""

    def __init__(self, change: float, *, loads: bool = True) -> None:
        self._change, self._loads = change, loads
        self._is_restored = False

    def encode(self, messages: Sequence[ChatMessage]) -> list[int]:
        return [*range(20)]

    def logits(self, chunk: Chunk) -> npt.NDArray[np.float32]:
        return np.array([1.0, 2.0 + self._change * self._is_restored], np.float32)

    def save(self, slot: int) -> memoryview:
        return memoryview(b"state")

    def load(self, slot: int, state: memoryview) -> bool:
        self._is_restored = True
        return self._loads

    def clear(self, slot: int) -> None:
        pass


@pytest.mark.parametrize(("change", "is_kept"), [(0.0, True), (0.01, True), (0.4, False)])
def test_a_model_that_continues_differently_fails_the_check(change: float, is_kept: bool) -> None:
    assert state_check.are_kept(Changing(change)) is is_kept


def test_a_model_that_refuses_its_own_states_fails_the_check() -> None:
    assert not state_check.are_kept(Changing(0.0, loads=False))

"""The real model with streams: what is moved, arranged or copied goes on unchanged."""

from __future__ import annotations

from collections.abc import Iterator

import llama_cpp as llama
import numpy as np
import pytest

from bot.generation import ChatMessage, Sampling
from bot.inference.core.lanes import FIRST_SHELF, Lane
from bot.inference.core.model import StepFailed
from bot.inference.core.sequence import (
    Action,
    Arrange,
    Chunk,
    Move,
    Opening,
    Release,
    Share,
    Step,
    Trim,
)
from bot.inference.grammar.constrained import Logits
from bot.inference.llama.model import LlamaModel
from bot.inference.llama.options import MAX_UBATCH, SMALL_UBATCH, Attention, KVLayout, LlamaOptions
from bot.inference.model_files import locate

_GREEDY = Sampling(temperature=0)
_TOLERANCE = 1.0
"""Rounding depends on the batch."""
_LONG = (Lane(256, 2, 256), Lane(512, 1, 512))


@pytest.fixture(scope="module")
def model() -> Iterator[LlamaModel]:
    """On one thread, as wherever tests compute."""
    options = LlamaOptions(
        num_cells=1_024,
        max_running=4,
        num_threads=1,
        attention=Attention.PLAIN,
        kv_layout=KVLayout.STREAMS,
        max_ubatch=SMALL_UBATCH,
        flash_prefill=True,
    )
    made = LlamaModel(locate.locate("smollm2"), options)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def begin_anew(model: LlamaModel) -> Iterator[None]:
    yield
    model.reset()


def do(model: LlamaModel, *actions: Action) -> None:
    model.run(Step(list(actions), []))


def prompt(model: LlamaModel, text: str = "Which of the seven bridges is the oldest?") -> list[int]:
    return model.encode([ChatMessage("user", text)])


def next_logits(model: LlamaModel, slot: int, tokens: list[int]) -> Logits:
    """After one more token."""
    return model.logits(Chunk(slot, len(tokens), [tokens[0]], True))


def expected(model: LlamaModel, tokens: list[int]) -> Logits:
    """What a fresh stream says after these tokens."""
    model.logits(Chunk(3, 0, tokens, True))
    found = next_logits(model, 3, tokens)
    do(model, Release(3))
    return found


def assert_like(one: Logits, other: Logits) -> None:
    assert np.abs(one - other).max() < _TOLERANCE
    assert int(one.argmax()) == int(other.argmax())


def test_the_model_begins_with_a_stream_for_each_of_those_that_may_run(model: LlamaModel) -> None:
    assert model.lanes == (Lane(0, 4, 256),)
    assert model.can_reuse


def test_four_sequences_in_one_step_say_what_each_says_alone(model: LlamaModel) -> None:
    texts = [prompt(model, f"Tell me about the number {n}.") for n in range(3)]
    alone = []
    for tokens in texts:
        do(model, Opening(0, _GREEDY, []))
        alone.append(model.run(Step([], [Chunk(0, 0, tokens, True)]))[0])
        do(model, Release(0))
    do(model, *(Opening(slot, _GREEDY, []) for slot in range(3)))
    chunks = [Chunk(slot, 0, tokens, True) for slot, tokens in enumerate(texts)]
    together = model.run(Step([], chunks[::-1]))
    assert [together[slot] for slot in range(3)] == alone


def test_a_moved_sequence_goes_on_with_its_cells_and_its_chain(model: LlamaModel) -> None:
    tokens = prompt(model)
    wanted = expected(model, tokens)
    do(model, Opening(2, _GREEDY, []))
    first = model.run(Step([], [Chunk(2, 0, tokens, True)]))[2]
    do(model, Move(2, 0))
    second = model.run(Step([], [Chunk(0, len(tokens), first, True)]))[0]
    assert second
    do(model, Trim(0, len(tokens)))
    assert_like(next_logits(model, 0, tokens), wanted)


def test_new_lanes_keep_what_was_moved_into_them(model: LlamaModel) -> None:
    tokens = prompt(model)
    wanted = expected(model, tokens)
    for slot in (0, 1):
        model.logits(Chunk(slot, 0, tokens, True))
    do(model, Arrange(_LONG, (Move(0, 257), Move(1, 512))))
    assert_like(next_logits(model, 257, tokens), wanted)
    assert_like(next_logits(model, 512, tokens), wanted)
    long = tokens * (500 // len(tokens))
    do(model, Release(512))
    assert model.logits(Chunk(512, 0, long, True)).shape == wanted.shape


def test_a_step_over_two_lanes_samples_for_both(model: LlamaModel) -> None:
    tokens = prompt(model)
    do(model, Opening(0, _GREEDY, []))
    alone = model.run(Step([], [Chunk(0, 0, tokens, True)]))[0]
    do(model, Release(0), Arrange(_LONG))
    do(model, *(Opening(slot, _GREEDY, []) for slot in (256, 512)))
    sampled = model.run(Step([], [Chunk(512, 0, tokens, True), Chunk(256, 0, tokens, True)]))
    assert sampled == {256: alone, 512: alone}


@pytest.mark.parametrize("num_shared", [8, 15])
def test_a_prefix_is_copied_from_its_shelf(model: LlamaModel, num_shared: int) -> None:
    """The stream that it comes from keeps all of its own cells."""
    tokens = prompt(model)
    wanted = expected(model, tokens)
    model.logits(Chunk(0, 0, tokens, True))
    do(model, Share(0, FIRST_SHELF, num_shared), Share(FIRST_SHELF, 1, num_shared))
    assert_like(next_logits(model, 0, tokens), wanted)
    model.logits(Chunk(1, num_shared, tokens[num_shared:], True))
    assert_like(next_logits(model, 1, tokens), wanted)
    do(model, Release(FIRST_SHELF))


def test_a_prompt_of_a_lane_with_flash_attention_goes_on_in_another(model: LlamaModel) -> None:
    """And what was copied into that lane from a shelf had its attention there."""
    assert model.flash_prefill
    tokens = prompt(model)
    wanted = expected(model, tokens)
    model.logits(Chunk(0, 0, tokens, True))
    flash = Lane(256, 1, 512, is_flash=True)
    do(model, Share(0, FIRST_SHELF, 8), Release(0), Arrange((flash, Lane(512, 2, 256))))
    do(model, Share(FIRST_SHELF, 256, 8))
    model.logits(Chunk(256, 8, tokens[8:], True))
    do(model, Arrange((*_LONG[1:], Lane(768, 2, 256)), (Move(256, 512),)))
    assert_like(next_logits(model, 512, tokens), wanted)
    do(model, Release(FIRST_SHELF))


def test_a_lane_with_flash_attention_reads_in_the_largest_pieces(model: LlamaModel) -> None:
    """With which it is the fastest, whatever is so for plain attention."""
    do(model, Arrange((Lane(256, 1, 512, is_flash=True), Lane(512, 2, 256))))
    sizes = [llama.llama_n_ubatch(model._contexts.of(slot).native) for slot in (256, 512)]
    assert sizes == [MAX_UBATCH, SMALL_UBATCH]


def test_a_slot_of_no_lane_fails_the_step(model: LlamaModel) -> None:
    """StopIteration, of all exceptions, would never arrive from a worker's thread."""
    do(model, Arrange(_LONG))
    with pytest.raises(StepFailed, match="no lane has slot 3"):
        do(model, Release(3))


def test_a_reset_brings_the_first_lanes_back(model: LlamaModel) -> None:
    tokens = prompt(model)
    do(model, Arrange(_LONG))
    model.reset()
    wanted = expected(model, tokens)
    model.logits(Chunk(0, 0, tokens, True))
    assert_like(next_logits(model, 0, tokens), wanted)

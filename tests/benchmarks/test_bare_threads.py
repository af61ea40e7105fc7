"""The bare loop is worth comparing with only if it says what the model says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from bot.generation import ChatMessage
from bot.inference.llama.options import LlamaOptions
from tests.benchmarks.bare_threads import Asked, BareThreads
from tests.benchmarks.chat_load import Reply, filler

pytestmark = pytest.mark.model

SYSTEM = ChatMessage("system", f"You are a helper. House rules: {filler(7, 40)}")
NUM_TOKENS = 6


@contextmanager
def bare(max_cells: int) -> Iterator[BareThreads]:
    small = LlamaOptions(num_cells=1_024, max_running=2, num_slots=8, num_threads=1)
    loop = BareThreads(small, max_cells)
    try:
        yield loop
    finally:
        loop.close()


def say(loop: BareThreads, asked: Sequence[Asked], at_once: int = 1) -> list[Reply]:
    return loop.serve(asked, at_once=at_once, max_tokens=NUM_TOKENS)


def two_turns(loop: BareThreads) -> list[str]:
    """Of one thread, with another thread between them."""
    thread = [SYSTEM, ChatMessage("user", "Name a colour.")]
    (first,) = say(loop, [("one", thread)])
    say(loop, [("other", [SYSTEM, ChatMessage("user", "Name an animal.")])])
    thread += [ChatMessage("assistant", first.text), ChatMessage("user", "Another one.")]
    (second,) = say(loop, [("one", thread)])
    return [first.text, second.text]


def test_a_thread_that_was_parked_goes_on_as_one_that_was_not() -> None:
    with bare(max_cells=1_000) as loop:
        kept = two_turns(loop)
        assert (loop.seats.num_parked, loop.seats.num_restored) == (0, 0)
    with bare(max_cells=20) as loop:
        assert two_turns(loop) == kept
        assert loop.seats.num_parked >= 2
        assert loop.seats.num_restored == 1


def test_replies_come_in_the_order_of_their_questions_with_the_times_of_a_user() -> None:
    words = ("tree", "river", "stone")
    asked = [(word, [SYSTEM, ChatMessage("user", f"What is a {word}?")]) for word in words]
    with bare(max_cells=1_000) as loop:
        alone = [say(loop, [each])[0] for each in asked]
    with bare(max_cells=1_000) as loop:
        together = say(loop, asked, at_once=2)
    assert [reply.tokens for reply in together] == [reply.tokens for reply in alone]
    for reply in together:
        assert reply.ttft is not None
        assert 0 < reply.ttft < reply.total
        assert len(reply.gaps) == NUM_TOKENS - 1

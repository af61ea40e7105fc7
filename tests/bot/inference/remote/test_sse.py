"""Server-sent events give the same data however the network cuts them."""

from __future__ import annotations

import itertools
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.inference.remote.faults import Fault
from bot.inference.remote.server import MAX_EVENT_BYTES, EventParser

STREAM = (
    ': ping\n\ndata: {"a": "é"}\r\n\r\nevent: x\ndata:one\ndata: two\n\n\ndata: [DONE]\n\n'.encode()
)
EVENTS = ['{"a": "é"}'.encode(), b"one\ntwo", b"[DONE]"]


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_events_are_the_same_wherever_the_bytes_are_cut(cuts: list[int]) -> None:
    parser, ends = EventParser(), [*sorted(cuts), len(STREAM)]
    pieces = [STREAM[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    assert [data for piece in pieces for data in parser.feed(piece)] == EVENTS


def test_an_event_that_is_cut_off_is_dropped() -> None:
    assert list(EventParser().feed(b"data: half")) == []
    assert list(EventParser().feed(b"data: half\n")) == []


@pytest.mark.parametrize("unit", [b"x", b"data: x\n"])
def test_a_line_or_an_event_without_end_is_given_up(unit: bytes) -> None:
    parser, piece = EventParser(), unit * 8_192
    pieces = itertools.repeat(piece, 2 * MAX_EVENT_BYTES // len(piece))
    with pytest.raises(Fault, match="no answer"):
        deque(itertools.chain.from_iterable(map(parser.feed, pieces)), maxlen=0)

"""States of streams, made independent of how many streams the context has.

llama.cpp writes a state as magic number and version, the number of streams, and then for each
stream the number of its cells, followed by their data where there are any; a sequence's state has
data in one stream only. It reads a state only into a context with as many streams. So ours say
that there is one stream, end with room for the others, and get the number before they are read.
"""

from __future__ import annotations

import ctypes
import struct

import numpy as np

from bot.inference.core.lanes import MAX_STREAMS

_NUMBER = struct.Struct("=I")
_HEAD = 8
"""Bytes of magic number and version."""
NUM_SPARE = _NUMBER.size * (MAX_STREAMS - 1)
"""Bytes at the end, all 0, for the streams that have no cells."""


def cut(state: memoryview, number: int, num_streams: int) -> memoryview:
    """The state as that of the only stream; it has the data of stream ``number``.

    It ends ``NUM_SPARE`` bytes before the buffer does.
    """
    start = number * _NUMBER.size
    end = len(state) - (num_streams - 1 - number) * _NUMBER.size
    state[start : start + _HEAD] = bytes(state[:_HEAD])
    _NUMBER.pack_into(state, start + _HEAD, 1)
    return state[start:end]


def fit(state: memoryview, num_streams: int) -> int:
    """Let the state be of a context with so many streams; the bytes that it then has.

    Written through its address, since a state that was read from a file is read-only.
    """
    address = np.frombuffer(state, np.uint8).ctypes.data
    ctypes.memmove(address + _HEAD, _NUMBER.pack(num_streams), _NUMBER.size)
    return len(state) - NUM_SPARE + _NUMBER.size * (num_streams - 1)

"""States of flash attention, made those of plain attention and the other way round.

They differ in the order of the values only: flash attention keeps them cell by cell, plain
attention element by element. A state (see ``stream_states``) has a number of cells, the position
and the sequence of each, whether its values are transposed, a number of layers, and then the keys
and the values of each layer after twelve bytes that describe them.
"""

from __future__ import annotations

import struct

import numpy as np

_CELLS = struct.Struct("=I")
_CELLS_AT = 12
_CELL_BYTES = 12
"""Position, the number of its sequences, which is one, and that sequence."""
_KIND = struct.Struct("=II")
_BY_CELL = struct.Struct("=iQ")
_BY_ELEMENT = struct.Struct("=iII")
"""Both begin with the type of the values; then a cell's bytes, or an element's and their number."""
_F16 = 1
_ELEMENT_BYTES = 2


class UnknownState(Exception):
    """The state is not of the form that is described here."""


def transpose(state: memoryview) -> None:
    """Change the order of the values in place; raises UnknownState before anything is changed."""
    (num_cells,) = _CELLS.unpack_from(state, _CELLS_AT)
    kind_at = _CELLS_AT + _CELLS.size + num_cells * _CELL_BYTES
    if kind_at + _KIND.size > len(state):
        raise UnknownState
    is_transposed, num_layers = _KIND.unpack_from(state, kind_at)
    at = kind_at + _KIND.size
    for _ in range(num_layers):
        at = _end(state, at, num_cells, is_transposed=False)
    starts = []
    for _ in range(num_layers):
        starts.append(at)
        at = _end(state, at, num_cells, is_transposed=bool(is_transposed))
    for start, end in zip(starts, [*starts[1:], at], strict=True):
        _transpose(state, start, end, num_cells, is_transposed=bool(is_transposed))
    _KIND.pack_into(state, kind_at, not is_transposed, num_layers)


def _end(state: memoryview, at: int, num_cells: int, *, is_transposed: bool) -> int:
    """Where the keys or the values of a layer end that begin at ``at``."""
    if at + _BY_CELL.size > len(state):
        raise UnknownState
    kind, cell_bytes = _BY_CELL.unpack_from(state, at)
    if is_transposed:
        kind, element_bytes, num_elements = _BY_ELEMENT.unpack_from(state, at)
        cell_bytes = element_bytes * num_elements
    end = at + _BY_CELL.size + int(cell_bytes) * num_cells
    if kind != _F16 or end > len(state):
        raise UnknownState
    return end


def _transpose(
    state: memoryview, start: int, end: int, num_cells: int, *, is_transposed: bool
) -> None:
    data = np.frombuffer(state[start + _BY_CELL.size : end], np.uint16)
    num_elements = len(data) // num_cells
    if is_transposed:
        data[:] = data.reshape(num_elements, num_cells).T.flatten()
        _BY_CELL.pack_into(state, start, _F16, num_elements * _ELEMENT_BYTES)
    else:
        data[:] = data.reshape(num_cells, num_elements).T.flatten()
        _BY_ELEMENT.pack_into(state, start, _F16, _ELEMENT_BYTES, num_elements)

"""The metadata of a GGUF file; gguf's own reader takes seconds for a vocabulary."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gguf import GGUFValueType, GGUFWriter

_FORMS = {
    GGUFValueType.UINT8: "B",
    GGUFValueType.INT8: "b",
    GGUFValueType.UINT16: "H",
    GGUFValueType.INT16: "h",
    GGUFValueType.UINT32: "I",
    GGUFValueType.INT32: "i",
    GGUFValueType.FLOAT32: "f",
    GGUFValueType.BOOL: "?",
    GGUFValueType.UINT64: "Q",
    GGUFValueType.INT64: "q",
    GGUFValueType.FLOAT64: "d",
}


@dataclass(frozen=True, slots=True)
class Entry:
    key: str
    value: Any
    kind: GGUFValueType
    item_kind: GGUFValueType | None = None

    def add_to(self, writer: GGUFWriter) -> None:
        writer.add_key_value(self.key, self.value, self.kind, self.item_kind)


def read_metadata(path: Path) -> Iterator[Entry]:
    """Every key of the file with its value, in order."""
    cursor = _Cursor(path.read_bytes())
    cursor.skip(16)  # magic, version, number of tensors
    for _ in range(cursor.number("Q")):
        key, kind = cursor.text(), GGUFValueType(cursor.number("I"))
        if kind is GGUFValueType.ARRAY:
            item_kind = GGUFValueType(cursor.number("I"))
            yield Entry(key, cursor.array(item_kind), kind, item_kind)
        else:
            yield Entry(key, cursor.value(kind), kind)


class _Cursor:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def skip(self, num_bytes: int) -> None:
        self._at += num_bytes

    def number(self, form: str) -> Any:
        (value,) = struct.unpack_from(f"<{form}", self._data, self._at)
        self._at += struct.calcsize(form)
        return value

    def text(self) -> str:
        size = self.number("Q")
        self._at += size
        return self._data[self._at - size : self._at].decode("utf-8")

    def value(self, kind: GGUFValueType) -> Any:
        return self.text() if kind is GGUFValueType.STRING else self.number(_FORMS[kind])

    def array(self, kind: GGUFValueType) -> list[Any]:
        size = self.number("Q")
        if kind is GGUFValueType.STRING:
            return [self.text() for _ in range(size)]
        form = f"<{size}{_FORMS[kind]}"
        self._at += struct.calcsize(form)
        return list(struct.unpack_from(form, self._data, self._at - struct.calcsize(form)))

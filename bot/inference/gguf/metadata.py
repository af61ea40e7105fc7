"""Reads texts and lists of numbers from a GGUF file's metadata, without loading the model."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_NUMBERS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
_STRING, _LIST = 8, 9
_BEFORE_COUNT = 16
"""Bytes of the magic, the version and the number of tensors."""
_LAST = "tokenizer."
"""The architecture's metadata comes before the vocabulary, which is long and not read."""
_TOKENS = "tokenizer.ggml.tokens"


def read_lists(path: Path) -> dict[str, str]:
    """Lists of numbers by key, in the form ``[8, 0, 8]``, which llama.cpp's API omits.

    llama.cpp must have accepted the file.
    """
    found = {}
    with path.open("rb") as file:
        for key, kind in _entries(file):
            if kind != _LIST:
                _skip(file, kind)
            elif (numbers := _list(file)) is not None:
                found[key] = str(numbers)
    return found


def read_texts(path: Path) -> dict[str, str]:
    """Texts by key. llama.cpp must have accepted the file."""
    found = {}
    with path.open("rb") as file:
        for key, kind in _entries(file):
            if kind == _STRING:
                found[key] = _text(file)
            else:
                _skip(file, kind)
    return found


def read_head(file: BinaryIO) -> tuple[dict[str, str], int]:
    """Everything before the vocabulary, as llama.cpp writes it, and the number of its tokens.

    For a file that llama.cpp has not seen, or its beginning: raises ``ValueError`` where that
    is too short or no GGUF.
    """
    found: dict[str, str] = {}
    try:
        for key, kind in _entries(file, last=None):
            if key == _TOKENS:
                return found, _number(file, "Q") if _number(file, "I") == _STRING else 0
            found[key] = _value(file, kind)
    except (struct.error, KeyError, OverflowError, MemoryError) as error:
        raise ValueError("this is no beginning of a GGUF file") from error
    return found, 0


def _value(file: BinaryIO, kind: int) -> str:
    if kind == _STRING:
        return _text(file)
    if kind == _LIST:
        return str(_list(file) or [])
    value = _number(file, _NUMBERS[kind])
    return str(value).lower() if isinstance(value, bool) else str(value)


def _entries(file: BinaryIO, last: str | None = _LAST) -> Iterator[tuple[str, int]]:
    """Keys, and the kind of value that must be read or skipped before the next one."""
    file.seek(_BEFORE_COUNT)
    for _ in range(_number(file, "Q")):
        key, kind = _text(file), _number(file, "I")
        if last and key.startswith(last):
            break
        yield key, kind


def _list(file: BinaryIO) -> list[int] | None:
    kind, size = _number(file, "I"), _number(file, "Q")
    if kind in _NUMBERS:
        return [_number(file, _NUMBERS[kind]) for _ in range(size)]
    for _ in range(size):
        _skip(file, kind)
    return None


def _skip(file: BinaryIO, kind: int) -> None:
    if kind == _LIST:
        _list(file)
    else:
        file.seek(_number(file, "Q") if kind == _STRING else struct.calcsize(_NUMBERS[kind]), 1)


def _text(file: BinaryIO) -> str:
    return file.read(_number(file, "Q")).decode("utf-8", "replace")


def _number(file: BinaryIO, form: str) -> int:
    number: int = struct.unpack(f"<{form}", file.read(struct.calcsize(form)))[0]
    return number

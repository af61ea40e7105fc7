"""The file format of a saved state: a head, llama.cpp's state, and a MAC over both.

The head is the magic, the length of its JSON, the JSON, and the tokens as 32-bit integers.
"""

from __future__ import annotations

import array
import json
import os
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from bot.inference.core.saved_state import SavedState

MAC_BYTES = 32
_MAGIC = b"PARLEY\x00\x01"
_START = struct.Struct("<8sI")
_MAX_JSON = 65_536
_TOKEN_BYTES = 4


class BadStateFile(Exception):
    """The file was not written by Parley, or it is damaged."""


@dataclass(frozen=True, slots=True)
class StateHeader:
    """The state has ``num_bytes``, and ``num_bytes_before`` it in the file."""

    fingerprint: str
    scope: str
    thread: str | None
    tokens: list[int]
    num_bytes: int
    saved_at: float
    num_bytes_before: int = 0

    @classmethod
    def of(cls, saved: SavedState, fingerprint: str) -> StateHeader:
        return cls(
            fingerprint,
            saved.scope,
            saved.thread,
            saved.tokens,
            saved.num_bytes,
            saved.saved_at,
        )

    def pack(self) -> bytes:
        text = json.dumps(
            [
                self.fingerprint,
                self.scope,
                self.thread,
                len(self.tokens),
                self.num_bytes,
                self.saved_at,
            ]
        ).encode()
        return _START.pack(_MAGIC, len(text)) + text + _pack_tokens(self.tokens)

    def saved(self, file: str) -> SavedState:
        return SavedState(
            self.scope,
            self.thread,
            self.tokens,
            file=file,
            num_bytes=self.num_bytes,
            saved_at=self.saved_at,
        )


def head_of(path: Path) -> StateHeader:
    """Read a file's head. Raises BadStateFile, and OSError where the file is gone."""
    with path.open("rb") as file:
        return read_head(file, os.fstat(file.fileno()).st_size)


def read_head(file: BinaryIO, size: int) -> StateHeader:
    """Read the head of a file of ``size`` bytes; BadStateFile unless the file is complete."""
    try:
        magic, length = _START.unpack(file.read(_START.size))
        if magic != _MAGIC or length > _MAX_JSON:
            raise BadStateFile("it is not a saved state")
        fingerprint, scope, thread, num_tokens, num_bytes, at = json.loads(file.read(length))
        start = _START.size + length + _TOKEN_BYTES * int(num_tokens)
        if start + int(num_bytes) + MAC_BYTES != size:
            raise BadStateFile("it is not complete")
        tokens = _unpack_tokens(file.read(_TOKEN_BYTES * int(num_tokens)))
        name = None if thread is None else str(thread)
        return StateHeader(
            str(fingerprint), str(scope), name, tokens, int(num_bytes), float(at), start
        )
    except (struct.error, ValueError, TypeError) as error:
        raise BadStateFile("its head cannot be read") from error


def _pack_tokens(tokens: list[int]) -> bytes:
    packed = array.array("i", tokens)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def _unpack_tokens(data: bytes) -> list[int]:
    tokens = array.array("i")
    tokens.frombytes(data)
    if sys.byteorder == "big":
        tokens.byteswap()
    return tokens.tolist()

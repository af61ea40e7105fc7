"""A thread whose evaluated tokens are kept outside the KV pool."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class SavedState:
    """``state`` is what llama.cpp saved of ``tokens``: in memory, or in the file ``file``.

    Both are missing until the step that saves it was done. ``saved_at`` in seconds since
    1970. ``seconds`` is what its last copying took. ``is_wanted``: it is being read;
    ``was_read``: from disk, back into memory.
    """

    scope: str
    thread: str | None
    tokens: list[int]
    state: memoryview | None = None
    file: str = ""
    num_bytes: int = 0
    saved_at: float = 0.0
    seconds: float = 0.0
    is_wanted: bool = False
    was_read: bool = False

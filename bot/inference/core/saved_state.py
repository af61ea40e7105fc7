"""The saved state of a thread that has left the KV pool."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class SavedState:
    """llama.cpp's state of ``tokens``: ``state`` in memory, or the file ``file`` on disk.

    Both are missing until the step that saves the state is done. ``saved_at`` is in seconds
    since 1970; ``seconds`` is the time that the last copy took. ``is_wanted``: the file is
    being read, or is about to be. ``was_read``: the state came back into memory from disk.
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

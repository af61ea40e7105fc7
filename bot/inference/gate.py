"""Lets one model compute at a time: two that share the cores make both slower than in turn."""

from __future__ import annotations

import threading
from types import TracebackType


class Gate:
    """A lock that is given in the order in which it was asked for, unlike ``threading.Lock``.

    So a model that writes a long reply lets the others in after each of its steps.
    """

    def __init__(self) -> None:
        self._turn = threading.Condition()
        self._num_asked = 0
        self._num_left = 0

    @property
    def num_waiting(self) -> int:
        """Beside the one that computes."""
        return max(0, self._num_asked - self._num_left - 1)

    def __enter__(self) -> None:
        with self._turn:
            ticket = self._num_asked
            self._num_asked += 1
            self._turn.wait_for(lambda: ticket == self._num_left)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._turn:
            self._num_left += 1
            self._turn.notify_all()

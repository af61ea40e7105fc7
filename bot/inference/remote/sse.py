"""Server-sent events out of bytes, however the network cuts them. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from bot.inference.remote.faults import Fault

MAX_EVENT_BYTES = 1 << 20
"""A token's event is some hundred bytes long; what is larger than this is no token."""


class EventParser:
    """``feed`` gives the data of every event that became complete; other fields are skipped."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._num_bytes = 0

    def feed(self, received: bytes) -> Iterator[bytes]:
        """Raises ``Fault`` for an event without end."""
        *lines, self._rest = (self._rest + received).split(b"\n")
        for line in lines:
            if (data := self._take(line.removesuffix(b"\r"))) is not None:
                yield data
        if len(self._rest) > MAX_EVENT_BYTES:
            raise Fault("malformed")

    def _take(self, line: bytes) -> bytes | None:
        if not line:
            data, self._data, self._num_bytes = self._data, [], 0
            return b"\n".join(data) if data else None
        if line.startswith(b"data:"):
            self._data.append(line.removeprefix(b"data:").removeprefix(b" "))
            self._num_bytes += len(line)
            if self._num_bytes > MAX_EVENT_BYTES:
                raise Fault("malformed")
        return None

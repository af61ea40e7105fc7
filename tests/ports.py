"""Ports of 127.0.0.1 for servers that have to be told theirs before they listen."""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path

FIRST, LAST = 15_000, 30_000
"""Below what Linux (32768), macOS and Windows (49152) give to a connection, or for port 0."""

_FOLDER = Path(tempfile.gettempdir()) / f"parley-ports-{os.getuid()}"
_locks: list[int] = []
"""Descriptors, held until this process ends."""


def free_port() -> int:
    """A port nobody listens on, which no other caller on this machine is given meanwhile.

    A port that was free a moment ago may be anybody's connection the next moment, so it is taken
    from where the system takes none by itself, and its lock keeps other test runs away from it.
    """
    for port in random.SystemRandom().sample(range(FIRST, LAST), LAST - FIRST):
        if reserve(port):
            return port
    raise OSError(f"No port between {FIRST} and {LAST} is free.")


def reserve(port: int) -> bool:
    """Whether nobody listens there and nobody has reserved it; then it is ours."""
    _FOLDER.mkdir(mode=0o700, exist_ok=True)
    lock = os.open(_FOLDER / str(port), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
    except OSError:
        os.close(lock)
        return False
    _locks.append(lock)
    return True

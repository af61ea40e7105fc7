from __future__ import annotations

import multiprocessing
import random
import socket
from pathlib import Path

from tests.ports import FIRST, LAST, free_port, reserve

EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


def test_two_test_runs_are_never_given_the_same_port() -> None:
    ours = _reserved_here()
    with multiprocessing.get_context("spawn").Pool(1) as other:
        assert not any(other.map(reserve, ours))


def test_no_connection_is_given_such_a_port() -> None:
    lowest = int(EPHEMERAL.read_text().split()[0]) if EPHEMERAL.exists() else 49_152
    assert FIRST <= free_port() < LAST <= lowest


def test_a_port_that_somebody_listens_on_is_not_free() -> None:
    with _listening() as somebody:
        port = somebody.getsockname()[1]
        assert not reserve(port)
    assert reserve(port)


def _reserved_here() -> list[int]:
    return [free_port() for _ in range(20)]


def _listening() -> socket.socket:
    """A server that reserved nothing."""
    while True:
        somebody = socket.socket()
        try:
            somebody.bind(("127.0.0.1", random.SystemRandom().randrange(FIRST, LAST)))
        except OSError:
            somebody.close()
            continue
        somebody.listen()
        return somebody

"""What systemd hears, on a real socket of datagrams."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bot.running.notify import ServiceManager
from tests.fakes.clock import FakeClock


class Systemd:
    """The far end of the socket at ``address``."""

    def __init__(self, address: str) -> None:
        self.environ = {"NOTIFY_SOCKET": address}
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address.replace("@", "\0"))
        self._socket.setblocking(False)

    def heard(self) -> list[str]:
        messages = []
        try:
            while True:
                messages.append(self._socket.recv(4096).decode())
        except BlockingIOError:
            return messages

    def close(self) -> None:
        self._socket.close()


@contextmanager
def listening(address: str) -> Iterator[Systemd]:
    systemd = Systemd(address)
    try:
        yield systemd
    finally:
        systemd.close()


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    with listening(str(tmp_path / "notify")) as found:
        yield found


def tell_all(manager: ServiceManager) -> None:
    manager.loading("smollm2")
    manager.ready("http://127.0.0.1:3978", "smollm2")
    manager.stopping()


ALL = [
    "STATUS=Loading smollm2",
    "READY=1\nSTATUS=Ready at http://127.0.0.1:3978 with smollm2",
    "STOPPING=1\nSTATUS=Stopping",
]


def test_it_is_told_how_far_parley_is(systemd: Systemd) -> None:
    tell_all(ServiceManager(systemd.environ, os.getpid()))
    assert systemd.heard() == ALL


def test_a_socket_of_the_abstract_namespace_is_reached(tmp_path: Path) -> None:
    with listening(f"@parley-{secrets.token_hex(8)}") as systemd:
        tell_all(ServiceManager(systemd.environ, os.getpid()))
        assert systemd.heard() == ALL


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "/nowhere/at"}])
def test_without_systemd_nothing_happens(environ: dict[str, str]) -> None:
    tell_all(ServiceManager(environ, os.getpid()))


async def test_signs_of_life_come_while_the_engine_lives_and_no_longer(
    systemd: Systemd, caplog: pytest.LogCaptureFixture
) -> None:
    clock, is_alive = FakeClock(), asyncio.Event()
    is_alive.set()
    manager = ServiceManager({**systemd.environ, "WATCHDOG_USEC": "3000000"}, os.getpid())
    keeping = asyncio.create_task(manager.keep_up(is_alive.is_set, clock))
    await clock.advance(2)
    assert systemd.heard() == ["WATCHDOG=1"] * 3
    is_alive.clear()
    with caplog.at_level(logging.ERROR):
        await clock.advance(5)
    assert systemd.heard() == []
    assert [record.getMessage() for record in caplog.records] == [
        "the engine is not alive; systemd is told nothing until it is again"
    ]
    is_alive.set()
    await clock.advance(1)
    assert systemd.heard() == ["WATCHDOG=1"]
    keeping.cancel()


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({"WATCHDOG_USEC": "120000000"}, 120.0),
        ({"WATCHDOG_USEC": "120000000", "WATCHDOG_PID": str(os.getpid())}, 120.0),
        ({"WATCHDOG_USEC": "120000000", "WATCHDOG_PID": "1"}, 0.0),
        ({"WATCHDOG_USEC": "soon"}, 0.0),
        ({}, 0.0),
    ],
)
async def test_the_watchdog_is_the_one_that_systemd_set_for_this_process(
    systemd: Systemd, environ: dict[str, str], seconds: float
) -> None:
    manager = ServiceManager({**systemd.environ, **environ}, os.getpid())
    assert manager.watchdog == seconds
    if not seconds:
        await manager.keep_up(lambda: True, FakeClock())
        assert systemd.heard() == []

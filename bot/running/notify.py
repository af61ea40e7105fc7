"""What systemd is told (``Type=notify``): that Parley is ready, what it does, that it is alive.

The protocol is a datagram of lines on the socket of ``NOTIFY_SOCKET``; elsewhere nothing is sent.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress

from bot.ports import Clock

logger = logging.getLogger(__name__)


class ServiceManager:
    """``watchdog``: seconds within which it expects a sign of life; 0: never."""

    def __init__(self, environ: Mapping[str, str], pid: int) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        is_meant = environ.get("WATCHDOG_PID", str(pid)) == str(pid)
        microseconds = environ.get("WATCHDOG_USEC", "") if self._address and is_meant else ""
        self.watchdog = int(microseconds) / 1e6 if microseconds.isdecimal() else 0.0

    def loading(self, model: str) -> None:
        self._tell(STATUS=f"Loading {model}")

    def ready(self, url: str, model: str) -> None:
        self._tell(READY="1", STATUS=f"Ready at {url} with {model}")

    def stopping(self) -> None:
        self._tell(STOPPING="1", STATUS="Stopping")

    async def keep_up(self, is_alive: Callable[[], bool], clock: Clock) -> None:
        """Give signs of life, unless ``is_alive`` says no: then systemd starts Parley anew."""
        was_alive = True
        while self.watchdog:
            if alive := is_alive():
                self._tell(WATCHDOG="1")
            elif was_alive:
                logger.error("the engine is not alive; systemd is told nothing until it is again")
            was_alive = alive
            await clock.sleep(self.watchdog / 3)

    def _tell(self, **facts: str) -> None:
        if not self._address:
            return
        lines = "\n".join(f"{name}={text}" for name, text in facts.items())
        address = self._address
        if address.startswith("@"):  # of the abstract namespace
            address = f"\0{address[1:]}"
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.sendto(lines.encode(), address)

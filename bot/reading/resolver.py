"""Looks up names, and gives only the addresses that may be connected to.

aiohttp connects to exactly the addresses that it gets here, one after the other: a name that
means something else a moment later changes nothing. Of a name with public and other addresses
the public ones are used.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from threading import Thread
from typing import Any

import psutil
from aiohttp.abc import AbstractResolver, ResolveResult

from bot.reading.addresses import AddressRules
from bot.reading.page import PageFailed, PageRefused

_AT_ONCE = 4

Lookup = Callable[..., list[tuple[Any, Any, int, str, Any]]]
"""``socket.getaddrinfo``."""


def own_addresses() -> frozenset[str]:
    """The IP addresses of this machine's network interfaces."""
    return frozenset(
        each.address.partition("%")[0]
        for addresses in psutil.net_if_addrs().values()
        for each in addresses
        if each.family in (socket.AF_INET, socket.AF_INET6)
    )


class CheckedResolver(AbstractResolver):
    """It has threads of its own: a name server that never answers holds up no others of Parley,
    nor its end.

    ``look_up``: ``socket.getaddrinfo``, or what stands in for it.
    """

    def __init__(self, rules: AddressRules, look_up: Lookup = socket.getaddrinfo) -> None:
        self._rules = rules
        self._look_up = look_up
        self._room = asyncio.Semaphore(_AT_ONCE)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raises ``PageRefused``. Whether an inner name exists is told to nobody."""
        try:
            found = await self._look_up_apart(host, port, family, socket.SOCK_STREAM)
        except socket.gaierror as error:
            if error.errno == socket.EAI_AGAIN:
                raise PageFailed(f"The name {host} cannot be looked up now.") from None
            found = []
        except UnicodeError:
            found = []
        results = [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=of_family,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for of_family, _, protocol, _, address in found
            if self._rules.may_connect(host, port, str(address[0]))
        ]
        if not results:
            raise PageRefused(f"{host} has no public address.")
        return results

    async def _look_up_apart(self, *asked: object) -> list[tuple[Any, Any, int, str, Any]]:
        """A thread cannot be cancelled: it has its room until the name server has answered."""
        loop, found = asyncio.get_running_loop(), Future[list[tuple[Any, Any, int, str, Any]]]()
        found.set_running_or_notify_cancel()

        def look_up() -> None:
            try:
                found.set_result(self._look_up(*asked))
            except Exception as error:  # raised where it is waited for
                found.set_exception(error)
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._room.release)

        await self._room.acquire()
        Thread(target=look_up, name="parley-names", daemon=True).start()
        return await asyncio.wrap_future(found)

    async def close(self) -> None:
        """Threads that still wait end by themselves, or with the process."""

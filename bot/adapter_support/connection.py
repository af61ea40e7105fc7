"""An adapter's connection to its platform: its lifecycle, its deliveries, its failed calls."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from types import TracebackType
from typing import Generic, Self, TypeVar

import aiohttp
from aiohttp import web

from bot.errors import Unavailable

C = TypeVar("C")

Observe = Callable[[str, str], None]
"""Counts one call: its method, and how it ended."""

DEFAULT_RETRY_AFTER = 1.0
_DAY = 86_400.0
_NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)
MAX_BODY = 1024 * 1024


class ConnectedAdapter(ABC, Generic[C]):
    """Usable between enter and leave, and again after; entering twice is entering once."""

    name: str

    def __init__(self) -> None:
        self._connection: C | None = None
        self._opened = AsyncExitStack()

    @abstractmethod
    async def _connect(self, opened: AsyncExitStack) -> C:
        """Connect; ``opened`` gets the ``close`` of each part as soon as that is open."""

    async def __aenter__(self) -> Self:
        if self._connection is None:
            async with AsyncExitStack() as opened:
                self._connection = await self._connect(opened)
                self._opened = opened.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._connection = None
        opened, self._opened = self._opened, AsyncExitStack()
        await opened.aclose()

    @property
    def _connected(self) -> C:
        """Raises ``Unavailable`` outside of enter and leave."""
        if self._connection is None:
            raise Unavailable(f"{self.name.title()} is not connected.", ambiguous=False)
        return self._connection


async def delivery_of(request: web.Request) -> bytes | None:
    """The body; None if it is larger than any delivery."""
    if (request.content_length or 0) > MAX_BODY:
        return None
    body = await request.read()
    return body if len(body) <= MAX_BODY else None


@contextmanager
def counted(platform: str, method: str, observe: Observe) -> Iterator[None]:
    """Count one call and map failed connections; encloses the mapping of the platform's refusals.

    ``from None``: such an error carries the whole exchange, and a log must not.
    """
    try:
        yield
    except _NEVER_SENT:
        observe(method, "unreachable")
        raise Unavailable(f"{method}: {platform} cannot be reached.", ambiguous=False) from None
    except TimeoutError:
        observe(method, "timeout")
        raise Unavailable(f"{method}: {platform} did not answer in time.", ambiguous=True) from None
    except (aiohttp.ClientError, OSError, UnicodeError):
        observe(method, "dropped")
        raise Unavailable(f"{method}: the connection was lost.", ambiguous=True) from None
    observe(method, "ok")


def retry_after(header: object) -> float:
    """Seconds; a value that is negative, a day or longer, or not a number becomes the default."""
    try:
        seconds = float(str(header))
    except ValueError:
        return DEFAULT_RETRY_AFTER
    return seconds if 0 <= seconds < _DAY else DEFAULT_RETRY_AFTER

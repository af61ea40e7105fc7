"""Calls to a platform that get lost on their way, told apart by whether they may have arrived."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import aiohttp

from bot.errors import Unavailable

Observe = Callable[[str, str], None]
"""Counts one call: its method, and how it ended."""

DEFAULT_RETRY_AFTER = 1.0
_DAY = 86_400.0
_NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)


@contextmanager
def counted(platform: str, method: str, observe: Observe) -> Iterator[None]:
    """Around one call, outside of what maps the platform's own refusals.

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
    """Seconds; a platform is believed within a day."""
    try:
        seconds = float(str(header))
    except ValueError:
        return DEFAULT_RETRY_AFTER
    return seconds if 0 <= seconds < _DAY else DEFAULT_RETRY_AFTER

"""The one place where Discord's, the SDK's and aiohttp's errors become ``PlatformError``.

``from None`` throughout: an SDK error carries the whole exchange, and a log must not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import discord

from bot.adapter_support.connection import Observe, counted, retry_after
from bot.errors import (
    MessageGone,
    MessageTooLong,
    NotPermitted,
    PlatformError,
    PlatformRefused,
    RateLimited,
    SettingsError,
    TextRefused,
    Unavailable,
)

_GONE = frozenset({10003, 10004, 10008})
_NOT_PERMITTED = frozenset({40001, 40002, 50001, 50003, 50005, 50007, 50013, 160005, 50278})
_FILTERED = frozenset({20009, 200000, 200001, 220001, 240000})
"""Explicit content, automatic moderation (of titles, too), harmful links."""

_TOO_LARGE = 40005
_INVALID_FORM = 50035

TOKEN_REFUSED = (
    "DISCORD_TOKEN is refused by Discord; copy it again from Bot -> Reset Token "  # noqa: S105
    "at discord.com/developers/applications."
)
INTENTS_REFUSED = (
    "Discord does not grant the intents that Parley asked for (close code 4014); switch "
    "Message Content Intent on under Bot at discord.com/developers/applications, or off and "
    "on again if it is."
)


@contextmanager
def translated(method: str, observe: Observe) -> Iterator[None]:
    """Around one call: counts how it ended, raises only ``PlatformError``."""
    with counted("Discord", method, observe):
        try:
            yield
        except discord.RateLimited as error:
            observe(method, "429")
            raise RateLimited(method, error.retry_after) from None
        except discord.HTTPException as error:
            observe(method, str(error.code or error.status))
            raise _refusal(method, error) from None
        except (discord.DiscordException, ValueError, KeyError, RuntimeError) as error:
            observe(method, "client_error")
            raise PlatformRefused(method, type(error).__name__) from None


def _refusal(method: str, error: discord.HTTPException) -> PlatformError:
    code, status = error.code, error.status
    if status == 429:
        # A 429 from a proxy in front of Discord: discord.py waits the others out.
        return RateLimited(method, retry_after(error.response.headers.get("Retry-After")))
    if code in _GONE:
        return MessageGone(f"{method}: the message or its channel is gone ({code}).")
    if code == _TOO_LARGE or (code == _INVALID_FORM and "fewer in length" in error.text):
        return MessageTooLong(f"{method}: Discord refuses a message of this size ({code}).")
    if status == 401 and code in (0, 40001):
        return NotPermitted(f"{method} is not permitted: the token is refused.")
    if code in _FILTERED:
        return TextRefused(method, str(code))
    if code in _NOT_PERMITTED:
        return NotPermitted(f"{method} is not permitted ({code}).")
    if status >= 500:
        return Unavailable(f"{method} failed at Discord ({status}).", ambiguous=True)
    return PlatformRefused(method, str(code or f"http_{status}"))


def gateway_error(error: BaseException | None) -> SettingsError | PlatformError:
    """Why the gateway closed or a login failed, in one sentence."""
    match error:
        case SettingsError() | PlatformError():
            return error
        case discord.LoginFailure():
            return SettingsError([TOKEN_REFUSED])
        case discord.PrivilegedIntentsRequired():
            return SettingsError([INTENTS_REFUSED])
        case discord.ConnectionClosed(code=4004):
            return SettingsError([TOKEN_REFUSED])
        case discord.ConnectionClosed(code=code):
            return Unavailable(f"Discord closed the gateway ({code}).", ambiguous=False)
        case None:
            return Unavailable("Discord closed the gateway.", ambiguous=False)
    return Unavailable(f"Discord cannot be reached ({type(error).__name__}).", ambiguous=False)

"""The one place where Teams', the SDK's and aiohttp's errors become ``PlatformError``.

``from None`` throughout: an SDK error carries the whole exchange, and a log must not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from adapters.teams.activities.streams import StreamRefused
from adapters.teams.auth.credentials import NoToken
from bot.adapter_support.connection import Observe, counted, retry_after
from bot.adapter_support.payloads import table_of, text_of
from bot.errors import (
    MessageGone,
    MessageTooLong,
    NotPermitted,
    PlatformError,
    PlatformRefused,
    RateLimited,
    Unavailable,
)

_TOO_LONG = frozenset({"MessageSizeTooBig", "RequestEntityTooLarge"})
_NOT_PERMITTED = frozenset(
    {
        "BotDisabledByAdmin",
        "BotNotInConversationRoster",
        "ConversationBlockedByUser",
        "ForbiddenOperationException",
        "InvalidBotApiHost",
        "MessageWritesBlocked",
        "NotEnoughPermissions",
    }
)
"""The bot may say nothing here; any other 403 may mean what it says."""

_FAILED = frozenset({408, 500, 502, 503, 504})
_CODE = re.compile(r"[A-Za-z0-9_]{1,64}")


class Refusal(Exception):
    """An answer of the service other than success."""

    def __init__(self, status: int, code: str, message: str, retry_after: float) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after


class BrokenAnswer(Exception):
    """A success whose body cannot be read, by us or by the SDK."""


def refusal_of(status: int, headers: Mapping[str, str], body: object) -> Refusal:
    """``body``: the parsed JSON, which may be anything."""
    error = table_of(body, "error") if isinstance(body, Mapping) else {}
    code = text_of(error, "code")
    return Refusal(
        status,
        code if _CODE.fullmatch(code) else f"http_{status}",
        text_of(error, "message"),
        retry_after(headers.get("Retry-After")),
    )


@contextmanager
def translated(method: str, observe: Observe) -> Iterator[None]:
    """Around one call of ``method``: count how it ended, raise only ``PlatformError``."""
    with counted("Teams", method, observe):
        try:
            yield
        except Refusal as error:
            observe(method, error.code)
            raise _platform_error(method, error) from None
        except NoToken as error:
            observe(method, "no_token")
            raise NotPermitted(f"{method}: Microsoft gives the bot no token: {error}.") from None
        except BrokenAnswer:
            observe(method, "broken_answer")
            raise Unavailable(f"{method}: the answer cannot be read.", ambiguous=True) from None


def _platform_error(method: str, error: Refusal) -> PlatformError:
    status, code = error.status, error.code
    if status == 429:
        return RateLimited(method, error.retry_after)
    if status == 413 or code in _TOO_LONG:
        return MessageTooLong(f"{method}: Teams refuses a message of this size ({code}).")
    if code == "ContentStreamNotAllowed" or status == 405:
        return StreamRefused(method, code, error.message)
    if status in (404, 410):
        return MessageGone(f"{method}: the message or its conversation is gone ({code}).")
    if status == 401 or code in _NOT_PERMITTED:
        return NotPermitted(f"{method} is not permitted: {code}.")
    if status == 412:  # nothing happened: somebody else changed the message at this moment
        return Unavailable(f"{method}: Teams was busy with this message.", ambiguous=False)
    if status in _FAILED or status > 504:
        return Unavailable(f"{method} failed at Teams: {code}.", ambiguous=True)
    return PlatformRefused(method, code)

"""The one place where Slack's, the SDK's and aiohttp's errors become ``PlatformError``.

``from None`` throughout: an SDK error carries the whole exchange, and a log must not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from slack_sdk.errors import SlackApiError, SlackClientError

from bot.adapter_support.connection import Observe, counted, retry_after
from bot.errors import (
    MessageGone,
    MessageTooLong,
    NotPermitted,
    PlatformError,
    PlatformRefused,
    RateLimited,
    TextRefused,
    Unavailable,
)

_RATE_LIMITED = frozenset({"ratelimited", "rate_limited"})
_GONE = frozenset({"message_not_found", "channel_not_found", "thread_not_found"})
_TOO_LONG = frozenset({"msg_too_long", "msg_blocks_too_long"})
_FAILED = frozenset(
    {
        "external_channel_migrating",
        "fatal_error",
        "internal_error",
        "request_timeout",
        "service_unavailable",
        "team_added_to_org",
    }
)
NO_THREADS = "restricted_action_non_threadable_channel"
"""Of every thread of the channel."""

UNTHREADABLE = frozenset({"cannot_reply_to_message", NO_THREADS})
"""Refused as a reply in a thread; as a message of the channel it may be posted."""

_NOT_PERMITTED = frozenset(
    {
        "access_denied",
        "account_inactive",
        "cant_delete_message",
        "ekm_access_denied",
        "invalid_auth",
        "is_archived",
        "is_inactive",
        "messages_tab_disabled",
        "missing_scope",
        "no_permission",
        "not_allowed_token_type",
        "not_authed",
        "not_in_channel",
        "org_login_required",
        "team_access_not_granted",
        "token_expired",
        "token_revoked",
        "two_factor_setup_required",
        "user_not_in_channel",
    }
)
_DISPENSABLE = ("Stream", "setStatus")
"""How methods end without which Parley gets along."""

_CODE = re.compile(r"[a-z0-9_]{1,64}")


@contextmanager
def translated(method: str, observe: Observe) -> Iterator[None]:
    """Around one call of Slack's ``method``: count how it ended, raise only ``PlatformError``."""
    with counted("Slack", method, observe):
        try:
            yield
        except SlackApiError as error:
            code = _code(error.response)
            observe(method, code)
            raise _refusal(method, code, error.response) from None
        except SlackClientError as error:
            observe(method, "client_error")
            raise PlatformRefused(method, type(error).__name__) from None


def _refusal(method: str, code: str, response: object) -> PlatformError:
    status = _status(response)
    if code in _RATE_LIMITED or status == 429:
        return RateLimited(method, _retry_after(response))
    if code in _GONE:
        return MessageGone(f"{method}: the message or its channel is gone ({code}).")
    if code in _TOO_LONG:
        return MessageTooLong(f"{method}: Slack refuses a message of this size ({code}).")
    if code in UNTHREADABLE or (code == "not_allowed_token_type" and method.endswith(_DISPENSABLE)):
        return PlatformRefused(method, code)
    if code.startswith("slack_connect_"):  # links to files and canvases, where admins block them
        return TextRefused(method, code)
    if code in _NOT_PERMITTED or code.startswith("restricted_action"):
        return NotPermitted(f"{method} is not permitted: {code}.")
    if code in _FAILED or status >= 500:
        return Unavailable(f"{method} failed at Slack: {code}.", ambiguous=True)
    return PlatformRefused(method, code)


def _status(response: object) -> int:
    """The HTTP status, of the SDK's response or (if its JSON is broken) of aiohttp's; else 0."""
    for name in ("status_code", "status"):
        value = getattr(response, name, None)
        if isinstance(value, int):
            return value
    return 0


def _code(response: object) -> str:
    """Slack's error code, else the HTTP status; bounded, because it labels a metric."""
    data = getattr(response, "data", response)
    code = data.get("error") if isinstance(data, dict) else None
    if isinstance(code, str) and _CODE.fullmatch(code):
        return code
    return f"http_{_status(response)}"


def _retry_after(response: object) -> float:
    headers = getattr(response, "headers", None) or {}
    return retry_after(headers.get("Retry-After"))

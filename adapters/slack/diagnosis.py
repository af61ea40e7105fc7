"""The check of Slack for ``doctor``: both tokens, the scopes by their names, the events to look at.

Slack names a token's scopes beside each answer (``x-oauth-scopes``), but tells no app to which
events it is subscribed.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from adapters.slack.api.client import SlackClient
from adapters.slack.api.settings import NO_BOT, SlackSettings
from adapters.slack.events import EVENTS
from adapters.slack.manifest import needed_scopes, purpose_of
from bot.errors import NotPermitted, PlatformError, SettingsError, Unavailable

Finding = tuple[str, str, str]
"""Status, finding, and what to do about it."""

_SECONDS = 10.0
_MAX_OFF = 120.0
"""Seconds; at 300 Parley refuses what Slack delivers."""

_SECRET = re.compile(r"[0-9a-f]{32}")
_UNREACHED = "Parley needs a way to slack.com by HTTPS; run doctor again once there is one."
_INSTALL = (
    "Paste what `python -m bot slack manifest{}` prints under App Manifest at "
    "api.slack.com/apps, and install the app to the workspace again."
)
_BOT_TOKEN = "Copy it again: OAuth & Permissions, Bot User OAuth Token, at api.slack.com/apps."  # noqa: S105
_COMPARE = "Compare OAuth & Permissions, Bot Token Scopes, with deploy/slack/manifest.yaml."
_BOTH = (
    "ok",
    "HTTP and Socket Mode are both on; Slack uses the one that the app's settings name",
    "It is Socket Mode where that is enabled under Settings, Socket Mode, at api.slack.com/apps.",
)
_APP_TOKEN = "Make one with connections:write: Basic Information, App-Level Tokens."  # noqa: S105


def examine(table: Mapping[str, str]) -> list[Finding]:
    try:
        settings = SlackSettings.read(table)
    except SettingsError as error:
        return [("fail", problem, "") for problem in error.problems]
    found = asyncio.run(_asked(settings, table.get("app_token", "")))
    return [*_secret(settings.signing_secret), *found]


def _secret(secret: str) -> Iterator[Finding]:
    if secret and not _SECRET.fullmatch(secret):
        advice = 'Compare it with "Signing Secret" under Basic Information at api.slack.com/apps.'
        yield "warn", "SLACK_SIGNING_SECRET is not 32 hexadecimal digits", advice


async def _asked(settings: SlackSettings, app_token: str) -> list[Finding]:
    found = [await _token(settings)]
    if found[0][0] == "ok":
        found += [*await _scopes_and_time(settings), *_events()]
    if app_token:
        found.append(await _socket(replace(settings, bot_token=app_token)))
    if app_token and settings.signing_secret:
        found.append(_BOTH)
    return found


async def _token(settings: SlackSettings) -> Finding:
    client = _client(settings)
    try:
        answer = await client.call("auth.test")
    except NotPermitted as error:
        return "fail", f"SLACK_BOT_TOKEN is refused: {error}", _BOT_TOKEN
    except PlatformError as error:
        return "warn", f"the bot token cannot be tried: {error}", _way_to(error)
    finally:
        await client.close()
    if not answer.get("bot_id"):
        return "fail", NO_BOT, _BOT_TOKEN
    return "ok", f"the bot token is that of {answer.get('user')} in {answer.get('team')}", ""


async def _scopes_and_time(settings: SlackSettings) -> list[Finding]:
    client = _client(settings)
    try:
        headers = await client.headers()
    except PlatformError as error:
        return [("warn", f"the scopes cannot be asked for: {error}", _way_to(error))]
    finally:
        await client.close()
    return [*_scopes(settings, headers.get("x-oauth-scopes")), *_time(headers.get("date"))]


def _time(date: str | None) -> Iterator[Finding]:
    """Slack signs what it delivers with the time, and old signatures are refused."""
    try:
        told = parsedate_to_datetime(date or "").replace(tzinfo=UTC)
    except ValueError:
        return
    seconds = (datetime.now(UTC) - told).total_seconds()
    if abs(seconds) >= _MAX_OFF:
        which = "ahead of" if seconds > 0 else "behind"
        off = f"this machine's clock is {abs(seconds) / 60:.0f} minutes {which} Slack's"
        yield "fail", off, "Set it, for example by NTP: deliveries over HTTP are refused else."


def _scopes(settings: SlackSettings, named: str | None) -> list[Finding]:
    if named is None:
        return [("warn", "Slack does not say which scopes the bot token has", _COMPARE)]
    granted = frozenset(re.split(r"[,\s]+", named))
    mode = "" if settings.app_token else " --http URL"  # else the app would change to Socket Mode
    missing = [scope for scope in needed_scopes() if scope not in granted]
    if not missing:
        return [("ok", f"all {len(needed_scopes())} scopes are granted", "")]
    return [
        ("fail", f"the scope {scope} is missing ({purpose_of(scope)})", _INSTALL.format(mode))
        for scope in missing
    ]


def _events() -> list[Finding]:
    detail = f"no app can read its events; Parley needs {', '.join(sorted(EVENTS))}"
    return [("ok", detail, "They stand under Event Subscriptions, Subscribe to bot events.")]


async def _socket(settings: SlackSettings) -> Finding:
    """Asks for the address of a connection, and makes none."""
    client = _client(settings)
    try:
        await client.call("apps.connections.open")
    except NotPermitted as error:
        return "fail", f"SLACK_APP_TOKEN is refused: {error}", _APP_TOKEN
    except PlatformError as error:
        return "warn", f"Socket Mode cannot be tried: {error}", _way_to(error)
    finally:
        await client.close()
    return "ok", "the app token works: it has connections:write, and opens Socket Mode", ""


def _way_to(error: PlatformError) -> str:
    return _UNREACHED if isinstance(error, Unavailable) else ""


def _client(settings: SlackSettings) -> SlackClient:
    return SlackClient(settings, lambda method, status: None, _SECONDS)

"""The ``[slack]`` table, checked; the secrets in it never show in a repr or a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from yarl import URL

from bot.adapter_support.addresses import is_loopback
from bot.errors import SettingsError

_SLACK = "https://slack.com/api/"


@dataclass(frozen=True, slots=True)
class SlackSettings:
    bot_token: str = field(repr=False)
    signing_secret: str = field(repr=False)
    api_url: str = _SLACK

    @classmethod
    def read(cls, table: Mapping[str, str]) -> SlackSettings:
        """Raises ``SettingsError`` with every problem of the table."""
        token, secret = _given(table, "bot_token"), _given(table, "signing_secret")
        api_url = _given(table, "api_url") or _SLACK
        problems = []
        if not token:
            problems.append("SLACK_BOT_TOKEN is not set: give the bot token (xoxb-…) of your app.")
        if not secret:
            problems.append(_missing_secret(table))
        if not _is_web_address(api_url):
            problems.append("SLACK_API_URL is no address: give one like https://slack.com/api/.")
        if problems:
            raise SettingsError(problems)
        return cls(token, secret, api_url.rstrip("/") + "/")

    @property
    def is_loopback(self) -> bool:
        """Whether the API is a test server on this machine."""
        return is_loopback(URL(self.api_url).host or "")


def _given(table: Mapping[str, str], key: str) -> str:
    return (table.get(key) or "").strip()


def _missing_secret(table: Mapping[str, str]) -> str:
    if _given(table, "app_token"):
        return (
            "SLACK_APP_TOKEN asks for Socket Mode, which is not in this version: "
            "set SLACK_SIGNING_SECRET and let Slack send events to /slack/events."
        )
    return "SLACK_SIGNING_SECRET is not set: without it no event can be verified."


def _is_web_address(text: str) -> bool:
    try:
        url = URL(text)
    except ValueError:
        return False
    return url.scheme in ("http", "https") and bool(url.host)

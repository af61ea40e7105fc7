"""The ``[slack]`` table, checked; the secrets in it never show in a repr or a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bot.adapter_support.addresses import is_loopback_url, web_address
from bot.adapter_support.settings import SettingsReader

_SLACK = "https://slack.com/api/"


@dataclass(frozen=True, slots=True)
class SlackSettings:
    """``is_loopback``: the API is a test server on this machine."""

    bot_token: str = field(repr=False)
    signing_secret: str = field(repr=False)
    api_url: str = _SLACK

    @classmethod
    def read(cls, table: Mapping[str, str]) -> SlackSettings:
        """Raises ``SettingsError`` with every problem of the table."""
        given = SettingsReader("SLACK", table)
        token, secret = given.text("bot_token"), given.text("signing_secret")
        api_url = given.text("api_url", _SLACK)
        if not token:
            given.refuse("bot_token", " is not set: give the bot token (xoxb-…) of your app.")
        if not secret and given.text("app_token"):
            given.refuse(
                "app_token",
                " asks for Socket Mode, which is not in this version: "
                "set SLACK_SIGNING_SECRET and let Slack send events to /slack/events.",
            )
        elif not secret:
            given.refuse("signing_secret", " is not set: without it no event can be verified.")
        if web_address(api_url) is None:
            given.refuse("api_url", " is no address: give one like https://slack.com/api/.")
        given.check()
        return cls(token, secret, api_url.rstrip("/") + "/")

    @property
    def is_loopback(self) -> bool:
        return is_loopback_url(self.api_url)

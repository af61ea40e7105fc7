"""The ``[slack]`` table, checked; the secrets in it never show in a repr or a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from yarl import URL

from bot.adapter_support.addresses import is_loopback_url, web_address
from bot.adapter_support.settings import SettingsReader

NO_BOT = (
    "SLACK_BOT_TOKEN is a token, but no bot's; copy the Bot User OAuth Token (xoxb-…) of your app."
)
_DOMAINS = (".slack.com", ".slack-gov.com")
_SLACK = "https://slack.com/api/"


@dataclass(frozen=True, slots=True)
class SlackSettings:
    """Slack delivers over HTTP where there is a signing secret, over Socket Mode where there is
    an app token, and may do both. ``is_loopback``: the API is a test server on this machine."""

    bot_token: str = field(repr=False)
    signing_secret: str = field(repr=False)
    api_url: str = _SLACK
    app_token: str = field(default="", repr=False)

    @classmethod
    def read(cls, table: Mapping[str, str]) -> SlackSettings:
        """Raises ``SettingsError`` with every problem of the table."""
        given = SettingsReader("SLACK", table)
        token, secret = given.text("bot_token"), given.text("signing_secret")
        app_token = given.text("app_token")
        api_url = given.text("api_url", _SLACK)
        if not token:
            given.refuse("bot_token", " is not set: give the bot token (xoxb-…) of your app.")
        if not (secret or app_token):
            given.refuse(
                "app_token",
                " is not set: give the app token (xapp-…) for Socket Mode, or set "
                "SLACK_SIGNING_SECRET and let Slack deliver to /slack/events.",
            )
        if web_address(api_url) is None:
            given.refuse("api_url", " is no address: give one like https://slack.com/api/.")
        given.check()
        return cls(token, secret, api_url.rstrip("/") + "/", app_token)

    def own_address(self, text: str) -> URL | None:
        """The address, if it leads to one of Slack's own hosts, or to the test server."""
        url = web_address(text)
        is_own = url is not None and (_is_slacks(url) or url.origin() == URL(self.api_url).origin())
        return url if is_own else None

    @property
    def is_loopback(self) -> bool:
        return is_loopback_url(self.api_url)


def _is_slacks(url: URL) -> bool:
    is_plain = url.scheme == "https" and url.port == 443 and not (url.user or url.password)
    return is_plain and f".{url.host}".endswith(_DOMAINS)

"""Slack: posts, edits and reactions out, events in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote

from aiohttp import web

from adapters.slack import markup
from adapters.slack.client import SlackClient
from adapters.slack.events import Identity, read_event
from adapters.slack.labels import read_label, to_metadata
from adapters.slack.people import People
from adapters.slack.settings import SlackSettings
from adapters.slack.webhook import PATH, Webhook
from bot.adapter_support.payloads import Payload
from bot.errors import NotPermitted, PlatformRefused, SettingsError, Unavailable
from bot.ports import Clock, Handler
from bot.types import Label, Limits, Person, Place, Question, RateRule, Rendered

LIMITS = Limits(
    max_size=3900,
    rules=(
        RateRule(frozenset({"post"}), "channel", 1, 1.0),
        RateRule(frozenset({"edit"}), "workspace", 50, 60.0),
        RateRule(frozenset({"delete"}), "workspace", 50, 60.0),
        RateRule(frozenset({"find_posts"}), "workspace", 50, 60.0),
        RateRule(frozenset({"whisper"}), "workspace", 100, 60.0),
        RateRule(frozenset({"react"}), "workspace", 50, 60.0),
        RateRule(frozenset({"unreact"}), "workspace", 20, 60.0),
    ),
)
"""Slack's tiers, which count per method and workspace; posts about one a second per channel."""

_EYES = "eyes"
_PAGE_SIZE = 200
_MAX_PAGES = 10
_NAME_SECONDS = 1.0

# What the model wrote never unfurls and never pings; chat.update would parse by default.
_SILENT = {
    "mrkdwn": True,
    "parse": "none",
    "link_names": False,
    "unfurl_links": False,
    "unfurl_media": False,
}


class SlackAdapter:
    """Usable between enter and leave, and again after; entering twice is entering once."""

    def __init__(
        self,
        settings: SlackSettings,
        clock: Clock,
        observe: Callable[[str, str], None],
        limits: Limits = LIMITS,
    ) -> None:
        self._settings = settings
        self._observe = observe
        self._limits = limits
        self._webhook = Webhook(settings.signing_secret, clock)
        self._people = People(self._look_up, clock, max_wait=_NAME_SECONDS)
        self._client: SlackClient | None = None
        self._me = Identity("", "")

    @property
    def name(self) -> str:
        return "slack"

    @property
    def limits(self) -> Limits:
        return self._limits

    def routes(self) -> Sequence[web.RouteDef]:
        return [web.post(PATH, self._webhook.handle)]

    def render(self, markdown: str) -> Rendered:
        return markup.render(markdown)

    async def __aenter__(self) -> Self:
        if self._client is None:
            self._client = SlackClient(self._settings, self._observe, self._limits.call_timeout)
            try:
                self._me = await self._who_am_i()
            except BaseException:
                await self.__aexit__(None, None, None)
                raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _who_am_i(self) -> Identity:
        try:
            answer = await self._slack.write("auth.test")
        except NotPermitted as error:
            raise SettingsError(
                [f"SLACK_BOT_TOKEN is refused by Slack; copy it again from your app. {error}"]
            ) from None
        return Identity(_required(answer, "team_id"), _required(answer, "user_id"))

    @property
    def _slack(self) -> SlackClient:
        if self._client is None:
            raise Unavailable("Slack is not connected.", ambiguous=False)
        return self._client

    async def listen(self, handler: Handler) -> None:
        async def deliver(payload: Payload) -> None:
            await self._deliver(payload, handler)

        self._webhook.deliver = deliver
        try:
            await asyncio.Event().wait()
        finally:
            if self._webhook.deliver is deliver:
                self._webhook.deliver = None

    async def _deliver(self, payload: Payload, handler: Handler) -> None:
        incoming = read_event(payload, self._me, self._people.names)
        if isinstance(incoming, Question):
            await self._people.meet(_user(incoming.person))
            incoming = read_event(payload, self._me, self._people.names)
        if incoming is not None:
            await handler(incoming)

    async def _look_up(self, user: str) -> str:
        found = _table(await self._slack.read("users.info", user=user), "user")
        profile = _table(found, "profile")
        names = (profile.get("display_name"), found.get("real_name"), found.get("name"))
        return next((name for name in names if isinstance(name, str) and name.strip()), user)

    async def post(self, place: Place, text: Rendered, label: Label) -> str:
        answer = await self._slack.write(
            "chat.postMessage",
            **_where(place),
            **_SILENT,
            text=text,
            metadata=to_metadata(label),
        )
        return _required(answer, "ts")

    async def edit(self, place: Place, message_id: str, text: Rendered) -> None:
        """Slack keeps the label of a post whose edit does not name one."""
        await self._slack.write(
            "chat.update", channel=place.channel, ts=message_id, text=text, **_SILENT
        )

    async def delete(self, place: Place, message_id: str) -> None:
        await self._slack.write("chat.delete", channel=place.channel, ts=message_id)

    async def typing(self, place: Place) -> None:
        """Slack has no such call for bots outside the assistant panel."""

    async def whisper(self, place: Place, person: Person, text: Rendered) -> None:
        await self._slack.write(
            "chat.postEphemeral",
            **_where(place),
            user=_user(person),
            text=text,
            parse="none",
            link_names=False,
        )

    async def react(self, place: Place, message_id: str) -> None:
        await self._set_reaction("reactions.add", place, message_id, already="already_reacted")

    async def unreact(self, place: Place, message_id: str) -> None:
        await self._set_reaction("reactions.remove", place, message_id, already="no_reaction")

    async def _set_reaction(
        self, method: str, place: Place, message_id: str, *, already: str
    ) -> None:
        try:
            await self._slack.write(method, channel=place.channel, timestamp=message_id, name=_EYES)
        except PlatformRefused as error:
            if error.code != already:
                raise

    async def find_posts(self, place: Place, turn_id: str) -> Mapping[int, str]:
        """Of two posts of one part the older; in a long direct message only the latest pages."""
        found: dict[int, str] = {}
        async for message in self._messages(place):
            label, ts = read_label(message), message.get("ts")
            if label is None or label.turn_id != turn_id or not isinstance(ts, str):
                continue
            if message.get("user") == self._me.user_id:
                found[label.part] = min(ts, found.get(label.part, ts))
        return found

    async def _messages(self, place: Place) -> AsyncIterator[Mapping[str, Any]]:
        method = "conversations.replies" if place.thread else "conversations.history"
        query: dict[str, Any] = {"channel": place.channel, "limit": _PAGE_SIZE}
        query["include_all_metadata"] = True
        if place.thread:
            query["ts"] = place.thread
        for _ in range(_MAX_PAGES):
            page = await self._slack.read(method, **query)
            for message in page.get("messages") or ():
                if isinstance(message, Mapping):
                    yield message
            query["cursor"] = _table(page, "response_metadata").get("next_cursor")
            if not query["cursor"]:
                return


def _where(place: Place) -> dict[str, str]:
    thread = {"thread_ts": place.thread} if place.thread else {}
    return {"channel": place.channel, **thread}


def _user(person: Person) -> str:
    return unquote(person.id.rpartition("/")[2])


def _table(answer: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = answer.get(key)
    return value if isinstance(value, Mapping) else {}


def _required(answer: Mapping[str, Any], key: str) -> str:
    value = answer.get(key)
    if not isinstance(value, str) or not value:
        raise Unavailable(f"Slack's answer lacks {key}.", ambiguous=True)
    return value

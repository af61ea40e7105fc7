"""Slack: posts, edits and reactions out, events in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Any

from aiohttp import web

from adapters.slack.api.client import SlackClient
from adapters.slack.api.history import ChannelHistory
from adapters.slack.api.labels import metadata_of
from adapters.slack.api.people import People
from adapters.slack.api.settings import NO_BOT, SlackSettings
from adapters.slack.api.threads import ThreadlessChannels
from adapters.slack.assistant.panel import AssistantPanel
from adapters.slack.assistant.replies import APPEND, SlackReplies
from adapters.slack.assistant.streams import user_of
from adapters.slack.events import is_asking, message_of, read_event
from adapters.slack.files import SlackFiles, with_files
from adapters.slack.interactions.asking import (
    CommandInbox,
    ResponseUrls,
    posted_question,
)
from adapters.slack.interactions.buttons import (
    MAX_BLOCKS,
    MAX_SECTION,
    size_of_blocks,
    when_offering,
)
from adapters.slack.interactions.handler import Presses
from adapters.slack.interactions.replies import ButtonedReplies
from adapters.slack.mrkdwn import markup
from adapters.slack.reading import earlier
from adapters.slack.reading.content import people_in
from adapters.slack.reading.text import SlackIdentity, is_timestamp
from adapters.slack.receivers.deliveries import Delivery
from adapters.slack.receivers.receiving import Receiving
from bot.adapter_support.connection import ConnectedAdapter, Observe
from bot.adapter_support.errands import Errands
from bot.adapter_support.payloads import Json, Payload, table_of, text_of
from bot.errors import (
    MessageGone,
    NotPermitted,
    PlatformRefused,
    SettingsError,
    Unavailable,
)
from bot.limits import Limits, RateRule
from bot.ports import Clock, FindStanding, Handler, never, nowhere
from bot.types import (
    NOTICE,
    Attachment,
    Choice,
    Incoming,
    Label,
    Person,
    Personality,
    Place,
    Question,
    Rendered,
    ReplyEnd,
    StopRequest,
)

LIMITS = Limits(
    max_size=MAX_SECTION,
    rules=(
        RateRule(frozenset({"post"}), "channel", 1, 1.0),
        RateRule(frozenset({"edit"}), "workspace", 50, 60.0),
        RateRule(frozenset({APPEND}), "workspace", 100, 60.0),
        RateRule(frozenset({"delete"}), "workspace", 50, 60.0),
        RateRule(frozenset({"find_posts", "earlier", "whisper"}), "workspace", 50, 60.0),
        RateRule(frozenset({"react"}), "workspace", 50, 60.0),
        RateRule(frozenset({"unreact"}), "workspace", 20, 60.0),
    ),
)
"""Slack's tiers, which count per method and workspace; posts: about one a second per channel."""

_EYES = "eyes"
_EARLIER_SECONDS, _WEEK = 5.0, 7 * 86_400.0
_MAX_ADOPTED = 3

# What the model wrote never unfurls and never pings; chat.update would parse by default.
_SILENT = {
    "mrkdwn": True,
    "parse": "none",
    "link_names": False,
    "unfurl_links": False,
    "unfurl_media": False,
}


class SlackAdapter(ConnectedAdapter["SlackClient"]):
    """Calls Slack's Web API, and receives what Slack delivers."""

    name = "slack"
    can_whisper_unasked = True
    drawing = markup.drawing
    render = staticmethod(markup.render)

    def __init__(
        self,
        settings: SlackSettings,
        clock: Clock,
        observe: Observe,
        limits: Limits = LIMITS,
        personalities: Callable[[], tuple[Personality, ...]] = tuple,
        find_standing: FindStanding | None = None,
        listens: Callable[[Place], bool] = nowhere,
        refusal: Callable[[Place, Person], str] = never,
    ) -> None:
        super().__init__()
        self.limits = limits
        self._settings = settings
        self._observe = observe
        self._clock = clock
        self._listens = listens
        self._refusal = refusal
        self._receiving = Receiving(settings, clock, observe, limits.call_timeout)
        self._errands = Errands()
        self._people = People(self._call, clock)
        self._history = ChannelHistory(self._call)
        self._threadless = ThreadlessChannels(clock)
        self._files = SlackFiles(settings, observe, limits.call_timeout)
        self._panel = AssistantPanel(self._call, find_standing, self.render, self._errands)
        self._me = SlackIdentity("", "")
        self._buttons = ButtonedReplies(self._post, self._update)
        self._replies = SlackReplies(self._call, clock, self._buttons, self._people.teams)
        self._presses = Presses(self._show, personalities, self._errands, refusal)
        self._urls = ResponseUrls(self._respond, clock)
        self._asking = CommandInbox(self._call, self.whisper, self._urls, self._errands, refusal)

    async def _connect(self, opened: AsyncExitStack) -> SlackClient:
        client = SlackClient(self._settings, self._observe, self.limits.call_timeout)
        opened.push_async_callback(client.close)
        opened.push_async_callback(self._errands.close)
        try:
            answer = await client.call("auth.test")
        except NotPermitted as error:
            raise SettingsError(
                [f"SLACK_BOT_TOKEN is refused by Slack; copy it again from your app. {error}"]
            ) from None
        if not text_of(answer, "bot_id"):
            raise SettingsError([NO_BOT])
        team, user = _required(answer, "team_id"), _required(answer, "user_id")
        name, bot = text_of(answer, "user") or user, text_of(answer, "bot_id")
        self._me = SlackIdentity(team, user, name, bot)
        await self._receiving.open(opened)
        return client

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Streams are ended while there still is a connection."""
        await self._replies.close()
        await super().__aexit__(kind, error, traceback)

    async def _call(self, method: str, **arguments: Any) -> dict[str, Any]:
        return await self._connected.call(method, **arguments)

    @property
    def trouble(self) -> str:
        return self._receiving.trouble

    def routes(self) -> Sequence[web.RouteDef]:
        return self._receiving.routes()

    async def listen(self, handler: Handler) -> None:
        await self._receiving.listen(partial(self._deliver, handler))

    async def _deliver(self, handler: Handler, delivery: Delivery) -> None:
        payload = delivery.payload
        if delivery.kind == "event":
            await self._take_event(handler, payload)
            return
        await self._asking.take(delivery, self._me, self._people.names, handler)
        if delivery.kind == "interaction":
            await self._presses.take(payload, self._me, self._people.names, handler)

    async def _take_event(self, handler: Handler, payload: Payload) -> None:
        await self._panel.take(payload, self._me.team_id, handler)
        incoming = self._read_event(payload)
        if incoming is not None and is_asking(incoming):
            people = (user_of(incoming.person), *people_in(message_of(payload)))
            payload, _ = await asyncio.gather(
                with_files(payload, self._file_info), self._meet(people)
            )
            incoming = self._read_event(payload)
        if isinstance(incoming, StopRequest) and incoming.reaction is None:
            self._replies.leave_stream(incoming.message_id)
        if incoming is not None:
            await handler(incoming)
        if isinstance(incoming, Question) and not self._refusal(incoming.place, incoming.person):
            self._panel.entitle(incoming)

    async def _file_info(self, file_id: str) -> Payload:
        return await self._connected.call("files.info", file=file_id)

    async def fetch(self, attachment: Attachment, max_size: int) -> bytes:
        return await self._files.fetch(attachment, max_size)

    def _read_event(self, delivery: Payload) -> Incoming | None:
        return read_event(delivery, self._me, self._people.names, self._listens)

    async def _meet(self, users: Iterable[str]) -> None:
        await self._people.meet(user for user in users if user != self._me.user_id)

    async def post(self, place: Place, text: Rendered, label: Label) -> str:
        return await self._post(place, text, label, [])

    async def _post(self, place: Place, text: Rendered, label: Label, blocks: list[Json]) -> str:
        """Beside the thread where nothing can be posted in it."""
        return await self._threadless.post(
            place, lambda there: self._post_in(there, text, label, blocks)
        )

    async def _post_in(self, place: Place, text: Rendered, label: Label, blocks: list[Json]) -> str:
        answer = await self._connected.call(
            "chat.postMessage",
            **_where(place),
            **_SILENT,
            text=text,
            blocks=blocks,
            metadata=metadata_of(label),
        )
        return _required(answer, "ts")

    async def edit(self, place: Place, message_id: str, text: Rendered) -> None:
        await self._update(place, message_id, text, [])

    async def _update(
        self, place: Place, message_id: str, text: Rendered, blocks: list[Json]
    ) -> None:
        """Slack keeps the label of a post if the edit names none; a stream has had none yet."""
        await self._panel.settle(place)
        message = {"channel": place.channel, "ts": message_id, "text": text}
        label = self._replies.label_of(message_id)
        named = {"metadata": metadata_of(label)} if label else {}
        await self._connected.call("chat.update", **message, blocks=blocks, **_SILENT, **named)

    def growth_interval(self, place: Place) -> float:
        return self.limits.edit_interval

    def growth_method(self, message_id: str) -> str:
        return self._replies.growth_method(message_id)

    async def begin(self, place: Place, text: Rendered, label: Label, *, is_text: bool) -> str:
        await self._panel.settle(place)
        await self._meet([user_of(label.asker)] if label.asker else [])
        return await self._replies.begin(place, text, label, is_text=is_text)

    async def grow(self, place: Place, message_id: str, text: Rendered, *, is_text: bool) -> None:
        await self._replies.grow(place, message_id, text, is_text=is_text)

    async def finish(
        self,
        place: Place,
        message_id: str | None,
        text: Rendered,
        label: Label,
        end: ReplyEnd | None = None,
    ) -> str:
        return await self._replies.finish(place, message_id, text, label, end)

    async def offer(
        self, place: Place, text: Rendered, choices: Sequence[Choice], label: Label
    ) -> str:
        return await self._buttons.offer(place, text, choices, label)

    async def delete(self, place: Place, message_id: str) -> None:
        await self._replies.abandon(place, message_id)
        await self._connected.call("chat.delete", channel=place.channel, ts=message_id)

    async def typing(self, place: Place) -> None:
        """The status line of a thread in direct messages; elsewhere Slack has none."""
        await self._panel.think(place)

    async def whisper(
        self, place: Place, person: Person, text: Rendered, choices: Sequence[Choice] = ()
    ) -> None:
        offered = when_offering(text, place.thread, choices) if choices else []
        fits = size_of_blocks(offered) <= MAX_BLOCKS
        await self._show(place, person, text, offered if fits else [])

    async def _show(self, place: Place, person: Person, text: Rendered, blocks: list[Json]) -> None:
        """In a channel that Parley is no member of as the answer to what the person did there.

        Slack shows it in a thread only if that has a reply.
        """
        if not await self._history.has_replies(place):
            place = replace(place, thread="")
        silent = {"parse": "none", "link_names": False}
        shown = {"user": user_of(person), "text": text, "blocks": blocks, **silent}
        try:
            await self._connected.call("chat.postEphemeral", **_where(place), **shown)
        except (NotPermitted, MessageGone):
            if not await self._urls.tell(user_of(person), place.channel, text, blocks):
                raise

    async def _respond(self, url: str, body: Json) -> None:
        await self._connected.respond(url, body)

    async def post_question(
        self, place: Place, person: Person, text: str, label: Label, *, search_first: bool = False
    ) -> tuple[Place, Person, str]:
        user, ts = user_of(person), ""
        if search_first:
            ts = await self._history.labelled(place, label, self._me.user_id)
        await self._meet([user])
        person = replace(person, name=self._people.names.get(user, person.name))
        ts = ts or await self._post(place, posted_question(person, text), label, [])
        root = "" if place.channel.startswith("D") else ts
        return replace(place, thread=place.thread or root), person, ts

    async def react(self, place: Place, message_id: str) -> None:
        await self._set_reaction("reactions.add", place, message_id, already="already_reacted")

    async def unreact(self, place: Place, message_id: str) -> None:
        await self._set_reaction("reactions.remove", place, message_id, already="no_reaction")

    async def _set_reaction(
        self, method: str, place: Place, message_id: str, *, already: str
    ) -> None:
        """What was pressed, and not written, has no message."""
        if not is_timestamp(message_id):
            return
        try:
            await self._connected.call(
                method, channel=place.channel, timestamp=message_id, name=_EYES
            )
        except PlatformRefused as error:
            if error.code != already:
                raise

    async def find_posts(self, place: Place, turn_id: str) -> Mapping[int, str]:
        """Of two posts of one part the older; of a long direct message only its latest pages."""
        found, unlabelled = await self._history.posts(place, turn_id, self._me.user_id)
        return found | await self._streaming(place, Label(turn_id, len(found)), unlabelled)

    async def _streaming(
        self, place: Place, label: Label, unlabelled: Sequence[str]
    ) -> dict[int, str]:
        """A stream gets its label at its end: what still streams in the thread is this reply."""
        for ts in sorted(unlabelled, reverse=True)[: _MAX_ADOPTED if place.thread else 0]:
            if await self._replies.adopt(place, ts, label):
                return {label.part: ts}
        return {}

    def may_have_earlier(self, place: Place, message_id: str) -> bool:
        return place.thread not in ("", message_id)

    async def earlier(self, place: Place, message_id: str) -> Sequence[tuple[str, str]]:
        """Nothing where reading takes too long."""
        try:
            async with asyncio.timeout(_EARLIER_SECONDS):
                found = await earlier.messages_before(self._history.messages(place), message_id)
        except TimeoutError:
            return ()
        await self._meet(earlier.people_of(found))
        return earlier.lines(found, self._me, self._people.names)

    async def lately(self, place: Place, person: Person) -> Sequence[tuple[str, str]]:
        """What began threads within a week."""
        since = self._clock.now().timestamp() - _WEEK
        found = earlier.newest_of(await self._history.newest(place.channel, since))
        await self._meet(earlier.people_of(found))
        return earlier.newest_lines(found, self._me, self._people.names)

    async def open_private(self, place: Place, person: Person) -> tuple[Place, str]:
        answer = await self._call("conversations.open", users=user_of(person))
        channel = _required(table_of(answer, "channel"), "id")
        private = replace(place, channel=channel, thread="")
        text = Rendered(f"What was said in <#{place.channel}>:")
        return private, await self._post(private, text, Label(f"{NOTICE}catch up", 0), [])


def _where(place: Place) -> dict[str, str]:
    thread = {"thread_ts": place.thread} if place.thread else {}
    return {"channel": place.channel, **thread}


def _required(answer: Payload, key: str) -> str:
    value = text_of(answer, key)
    if not value:
        raise Unavailable(f"Slack's answer lacks {key}.", ambiguous=True)
    return value

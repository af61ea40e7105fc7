"""Slash commands and the shortcut: on disk, then acknowledged, and answered in any channel.

Slack tells the person after three seconds that a command has failed, and delivers none again.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from adapters.slack.interactions.commands import read_command
from adapters.slack.interactions.shortcuts import Shortcut, read_form, read_shortcut
from adapters.slack.mrkdwn.line import escape
from adapters.slack.reading.text import SlackIdentity
from adapters.slack.receivers.deliveries import Delivery
from bot.adapter_support.errands import Errands
from bot.adapter_support.payloads import Json, table_of, text_of
from bot.errors import ParleyError, PlatformError, sentence_for_people
from bot.ports import Clock, Handler
from bot.types import Incoming, Person, Place, Rendered

logger = logging.getLogger(__name__)

Call = Callable[..., Awaitable[dict[str, Any]]]
Respond = Callable[[str, Json], Awaitable[None]]
Show = Callable[[Place, Person, Rendered], Awaitable[None]]

_USES, _VALID_SECONDS = 5, 1_800.0
_MAX_URLS = 2_000
_MAX_SHOWN, _MAX_ESCAPED = 3_500, 5


class ResponseUrls:
    """Where people can be told something in channels that Parley is no member of.

    Each of Slack's addresses takes five answers within half an hour; the newest counts.
    """

    def __init__(self, respond: Respond, clock: Clock) -> None:
        self._respond = respond
        self._clock = clock
        self._urls: OrderedDict[tuple[str, str], tuple[str, int, float]] = OrderedDict()

    def note(self, user: str, channel: str, url: str) -> None:
        if url:
            self._urls.pop((user, channel), None)
            until = self._clock.monotonic() + _VALID_SECONDS
            self._urls[user, channel] = (url, _USES, until)
        if len(self._urls) > _MAX_URLS:
            self._urls.popitem(last=False)

    async def tell(self, user: str, channel: str, text: Rendered, blocks: list[Json]) -> bool:
        """False if no address for this person and channel takes it (any more)."""
        url, uses, until = self._urls.get((user, channel), ("", 0, 0.0))
        if not uses or self._clock.monotonic() >= until:
            return False
        self._urls[user, channel] = (url, uses - 1, until)
        body: Json = {"response_type": "ephemeral", "replace_original": False, "text": text}
        try:
            await self._respond(url, {**body, "blocks": blocks} if blocks else body)
        except PlatformError as error:
            logger.warning("an answer to a command or a press was not taken: %s", error)
            return False
        return True


class CommandInbox:
    """``show``: a message to one person. ``refusal``: why they may not ask in a place, or empty."""

    def __init__(
        self,
        call: Call,
        show: Show,
        urls: ResponseUrls,
        errands: Errands,
        refusal: Callable[[Place, Person], str],
    ) -> None:
        self._call = call
        self._show = show
        self._urls = urls
        self._errands = errands
        self._refusal = refusal

    async def take(
        self, delivery: Delivery, me: SlackIdentity, names: Mapping[str, str], handler: Handler
    ) -> None:
        """Returns once it is on disk. What is neither a command nor of the shortcut is ignored."""
        payload = delivery.payload
        if delivery.kind == "command":
            incoming = read_command(payload, me, names)
            if incoming is not None:
                user, url = text_of(payload, "user_id"), text_of(payload, "response_url")
                await self._hand_over(incoming, user, url, handler)
        elif shortcut := read_shortcut(payload, me, names):
            self._errands.spawn_once(shortcut.trigger_id, partial(self._open, shortcut, me))
        elif form := read_form(payload, me, names):
            user = text_of(table_of(payload, "user"), "id")
            await self._hand_over(form.question, user, form.response_url, handler)

    async def _open(self, shortcut: Shortcut, me: SlackIdentity) -> None:
        """At once, and never again: what opens the form lives for three seconds."""
        place = Place("slack", me.team_id, shortcut.channel, "")
        person = Person.at(place, shortcut.user)
        if not (sentence := self._refusal(place, person)):
            try:
                await self._call("views.open", trigger_id=shortcut.trigger_id, view=shortcut.form)
            except PlatformError as error:
                logger.warning("the form of the shortcut could not be opened: %s", error)
                sentence = "The window for your question could not be opened; please try again."
        if sentence:
            self._urls.note(shortcut.user, shortcut.channel, shortcut.response_url)
            await self._tell(place, person, shortcut.user, sentence)

    async def _hand_over(self, incoming: Incoming, user: str, url: str, handler: Handler) -> None:
        """Whoever could not be heard is told why, after the acknowledgement."""
        self._urls.note(user, incoming.place.channel, url)
        try:
            await handler(incoming)
        except ParleyError as error:
            logger.warning("a command could not be taken: %s", error)
            sentence = sentence_for_people(error)
            self._errands.spawn(self._tell(incoming.place, incoming.person, user, sentence))

    async def _tell(self, place: Place, person: Person, user: str, sentence: str) -> None:
        """At the address that came with the command, where there is one."""
        text = Rendered(sentence)
        try:
            if not await self._urls.tell(user, place.channel, text, []):
                await self._show(replace(place, thread=""), person, text)
        except PlatformError as error:
            logger.warning("nobody could be told: %s", error)


def posted_question(person: Person, text: str) -> Rendered:
    """In the person's words, in which nothing pings; of very many as much as fits."""
    shown, room = [f"*{escape(person.name)} asks:*"], _MAX_SHOWN
    for line in text.splitlines():
        quote = f"> {escape(line)}".rstrip()
        room -= len(quote) + 1
        if room < 0:
            shown.append(f"> {escape(line[: (room + len(quote)) // _MAX_ESCAPED])}…")
            break
        shown.append(quote)
    return Rendered("\n".join(shown))

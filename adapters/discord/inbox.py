"""From a gateway event to the handler: where it was, whether it is for us, what it says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from adapters.discord import events
from adapters.discord.chains import Chains
from adapters.discord.channels import Channels
from adapters.discord.deliveries import Deliveries
from adapters.discord.desk import Desk
from adapters.discord.events import Spot, spot_of_channel
from adapters.discord.posting import Posting
from adapters.discord.text import Identity, Payload, table
from adapters.discord.text import text_of as text
from bot.errors import ParleyError, sentence_for_people
from bot.ports import Handler
from bot.types import Incoming, Person, Place

NOT_HERE = "I do not answer in age-restricted channels."

Apologise = Callable[[Place, str], Awaitable[None]]


class Inbox:
    def __init__(
        self,
        channels: Channels,
        chains: Chains,
        posting: Posting,
        desk: Desk,
        me: Identity,
        *,
        age_restricted: bool,
        apologise: Apologise,
    ) -> None:
        self._channels = channels
        self._chains = chains
        self._posting = posting
        self._desk = desk
        self._me = me
        self._age_restricted = age_restricted
        self._apologise = apologise
        self._by_event: Mapping[str, Callable[[Payload, Handler], Awaitable[None]]] = {
            "MESSAGE_CREATE": self._message,
            "MESSAGE_UPDATE": self._edit,
            "MESSAGE_DELETE": self._deletions,
            "MESSAGE_DELETE_BULK": self._deletions,
            "MESSAGE_REACTION_ADD": self._reaction,
        }

    def put(self, event: str, payload: dict[str, Any], handler: Handler, to: Deliveries) -> None:
        """What nobody said to anybody of ours costs nothing more than this."""
        if event == "INTERACTION_CREATE":
            barred = self._why_barred(*self._spots_of(table(payload, "channel")))
            to.start(self._desk.take(payload, self._identity(payload), handler, barred))
            return
        if event in ("MESSAGE_CREATE", "MESSAGE_UPDATE") and not self._may_concern(payload):
            return
        channel = text(payload, "channel_id")
        if channel.isdigit():
            to.put(channel, self._take(event, payload, handler))

    def _may_concern(self, message: Payload) -> bool:
        """Outside of threads only what is said to us; an edit may take the mention away."""
        if not events.is_from_a_person(message):
            return False
        spot = self._channels.known(text(message, "channel_id"))
        if spot is None or not spot.guild or spot.is_thread or "edited_timestamp" in message:
            return True
        return events.concerns_us(message, self._identity(message), spot)

    async def _take(self, event: str, payload: Payload, handler: Handler) -> None:
        await self._by_event[event](payload, handler)

    async def _spot(self, payload: Payload) -> Spot:
        return await self._channels.find(text(payload, "channel_id"), text(payload, "guild_id"))

    def _identity(self, payload: Payload) -> Identity:
        roles = self._channels.own_roles(text(payload, "guild_id"))
        return replace(self._me, roles=roles) if roles else self._me

    async def _message(self, message: Payload, handler: Handler) -> None:
        me, spot = self._identity(message), await self._spot(message)
        if not events.concerns_us(message, me, spot):
            return
        root = "" if spot.is_direct or spot.is_thread else await self._chains.root_of(message)
        question = events.read_question(message, me, spot.place(root))
        if question is None:
            return
        self._posting.name_thread(text(message, "id"), question.text)
        person = self._with_power(question.person, spot, message)
        barred = self._why_barred(spot)
        is_ours = question.is_mention or (self._is_with_us(spot) and not question.mentions_others)
        question = replace(question, person=person, barred=barred)
        await self._hand_over(question, handler, is_awaited=is_ours)

    def _is_with_us(self, spot: Spot) -> bool:
        """Whether what is said there is said to us, as far as Discord knows."""
        return spot.is_direct or spot.owner == self._me.user_id

    async def _hand_over(self, incoming: Incoming, handler: Handler, *, is_awaited: bool) -> None:
        """The gateway delivers nothing twice: who waits for us hears that they wait in vain."""
        try:
            await handler(incoming)
        except ParleyError as error:
            if is_awaited:
                await self._apologise(incoming.place, sentence_for_people(error))
            raise

    async def _edit(self, message: Payload, handler: Handler) -> None:
        me, spot = self._identity(message), await self._spot(message)
        edited = events.read_edit(message, me, spot.place(text(message, "id")))
        if edited is not None:
            is_ours = self._is_with_us(spot) or events.is_addressed(message, me)
            await self._hand_over(edited, handler, is_awaited=is_ours)

    async def _deletions(self, event: Payload, handler: Handler) -> None:
        spot = await self._spot(event)
        for deletion in events.read_deletions(event, spot.place()):
            await handler(deletion)

    async def _reaction(self, event: Payload, handler: Handler) -> None:
        spot = await self._spot(event)
        request = events.read_reaction(event, self._me, spot.place())
        if request is not None:
            person = self._with_power(request.person, spot, event)
            request = replace(request, person=person)
            await self._hand_over(request, handler, is_awaited=self._is_with_us(spot))

    def _with_power(self, person: Person, spot: Spot, payload: Payload) -> Person:
        member = table(payload, "member")
        user = text(payload, "user_id") or text(table(payload, "author"), "id")
        if spot.is_direct or not member:
            return person
        may = self._channels.may_manage_messages(spot, member, user)
        return replace(person, is_moderator=may)

    def _spots_of(self, channel: Payload) -> Iterator[Spot]:
        """A thread's own description does not say whether its channel is age-restricted."""
        yield spot_of_channel(channel, "")
        for key in ("id", "parent_id"):
            if spot := self._channels.known(text(channel, key)):
                yield spot

    def _why_barred(self, *spots: Spot) -> str:
        if self._age_restricted or not any(spot.is_age_restricted for spot in spots):
            return ""
        return NOT_HERE

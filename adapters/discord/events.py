"""Gateway events -> what Parley takes: pure readers, and the inbox that calls them.

The inbox looks up the channel of an event (``ChannelInfo``) before an event is read: events
name a channel, not its parent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from adapters.discord.api.chains import ReplyChains
from adapters.discord.api.channels import ChannelInfo, Channels, channel_info
from adapters.discord.api.ids import DIRECT, MessageRef, created_at
from adapters.discord.api.messages import BotUser, person, person_of, read_text
from adapters.discord.api.posting import Posting
from adapters.discord.api.quotes import read_files, read_quotes
from adapters.discord.gateway.deliveries import Deliveries
from adapters.discord.interactions.catching_up import NOT_HERE
from adapters.discord.interactions.handler import InteractionHandler
from bot.adapter_support.payloads import Payload, items_of, table_of, text_of
from bot.adapter_support.quoting import with_quotes
from bot.errors import ParleyError, QueueFull, sentence_for_people
from bot.ports import Handler
from bot.types import (
    Feedback,
    Incoming,
    Person,
    Place,
    Question,
    QuestionDeleted,
    QuestionEdited,
    StopRequest,
)

Apologise = Callable[[Place, str], Awaitable[None]]

_DEFAULT, _REPLY = 0, 19
_RETRY_SECONDS = 60.0


def is_from_a_person(message: Payload) -> bool:
    """Written by a person: not by a bot or webhook, and no system message."""
    author = table_of(message, "author")
    is_somebody = bool(text_of(author, "id")) and not author.get("bot") and not author.get("system")
    is_written = message.get("type", _DEFAULT) in (_DEFAULT, _REPLY)
    return is_somebody and is_written and not message.get("webhook_id")


def _is_reply(message: Payload) -> bool:
    return bool(message.get("type") == _REPLY)


def is_addressed(message: Payload, me: BotUser) -> bool:
    """Mentioned, or replied to."""
    answered = table_of(table_of(message, "referenced_message"), "author")
    return text_of(answered, "id") == me.user_id or read_text(message, me).mentions_bot


def concerns_bot(message: Payload, me: BotUser, info: ChannelInfo) -> bool:
    return info.is_direct or info.is_thread or is_addressed(message, me)


def read_question(message: Payload, me: BotUser, place: Place) -> Question | None:
    """``place``: the thread of this message."""
    channel, message_id = text_of(message, "channel_id"), text_of(message, "id")
    if not (channel.isdigit() and message_id.isdigit() and is_from_a_person(message)):
        return None
    said = read_text(message, me)
    return Question(
        event_id=message_id,
        place=place,
        person=person_of(message, place),
        text=with_quotes(said.text, *read_quotes(message, me)),
        message_id=str(MessageRef(channel, message_id)),
        sent_at=_sent_at(message),
        is_direct=place.workspace == DIRECT,
        is_mention=is_addressed(message, me),
        mentions_others=said.mentions_others,
        attachments=read_files(message, me),
    )


def read_edit(message: Payload, me: BotUser, place: Place) -> QuestionEdited | None:
    """None for a change of embeds or pins, and where the text is missing for want of the intent."""
    edited_at = text_of(message, "edited_timestamp")
    channel, message_id = text_of(message, "channel_id"), text_of(message, "id")
    text = with_quotes(read_text(message, me).text, *read_quotes(message, me))
    is_ours = channel.isdigit() and message_id.isdigit() and is_from_a_person(message)
    if not (is_ours and edited_at and text):
        return None
    return QuestionEdited(
        event_id=f"{message_id} {edited_at}",
        place=place,
        person=person_of(message, place),
        message_id=str(MessageRef(channel, message_id)),
        text=text,
    )


def read_deletions(event: Payload, place: Place) -> list[QuestionDeleted]:
    """One message or many; Discord does not say who deleted them."""
    channel = text_of(event, "channel_id")
    ids = [text_of(event, "id"), *map(str, items_of(event, "ids"))]
    return [
        QuestionDeleted(
            event_id=f"{message_id} deleted",
            place=place,
            person=Person.at(place, "unknown"),
            message_id=str(MessageRef(channel, message_id)),
        )
        for message_id in ids
        if message_id.isdigit()
    ]


def read_reaction(event: Payload, me: BotUser, place: Place) -> StopRequest | None:
    found = _reacted(event, me, place)
    return StopRequest(**found) if found else None


def read_reaction_taken(event: Payload, me: BotUser, place: Place) -> Feedback | None:
    found = _reacted(event, me, place)
    return Feedback(**found, rating=0) if found else None


def _reacted(event: Payload, me: BotUser, place: Place) -> dict[str, Any] | None:
    """A reaction has no id of its own: each one is a new event, after a retry too."""
    user, message_id = text_of(event, "user_id"), text_of(event, "message_id")
    emoji, member = table_of(event, "emoji"), table_of(event, "member")
    name = text_of(emoji, "name")
    is_bot = user == me.user_id or bool(table_of(member, "user").get("bot"))
    if not (user and name and message_id.isdigit()) or is_bot:
        return None
    return {
        "event_id": f"reaction {uuid4()}",
        "place": place,
        "person": person(user, table_of(member, "user"), member, place),
        "message_id": str(MessageRef(text_of(event, "channel_id"), message_id)),
        "reaction": name,
    }


async def _refuse(_: Incoming) -> None:
    """In place of the handler, where too many deliveries wait for it."""
    raise QueueFull(_RETRY_SECONDS)


def _sent_at(message: Payload) -> datetime:
    try:
        sent_at = datetime.fromisoformat(text_of(message, "timestamp"))
    except ValueError:
        return created_at(text_of(message, "id"))
    return sent_at if sent_at.tzinfo else sent_at.replace(tzinfo=UTC)


class Inbox:
    """Takes gateway events, keeps those for Parley, and hands them to the handler."""

    def __init__(
        self,
        channels: Channels,
        chains: ReplyChains,
        posting: Posting,
        interactions: InteractionHandler,
        me: BotUser,
        *,
        age_restricted: bool,
        apologise: Apologise,
        listens: Callable[[Place], bool],
    ) -> None:
        self._channels = channels
        self._chains = chains
        self._posting = posting
        self._interactions = interactions
        self._me = me
        self._age_restricted = age_restricted
        self._apologise = apologise
        self._listens = listens
        self._by_event: Mapping[str, Callable[[Payload, Handler], Coroutine[Any, Any, None]]] = {
            "MESSAGE_CREATE": self._message,
            "MESSAGE_UPDATE": self._edit,
            "MESSAGE_DELETE": self._deletions,
            "MESSAGE_DELETE_BULK": self._deletions,
            "MESSAGE_REACTION_ADD": self._reaction,
            "MESSAGE_REACTION_REMOVE": self._reaction_taken,
        }

    def put(self, event: str, payload: dict[str, Any], handler: Handler, to: Deliveries) -> None:
        """Synchronous: an event that is not for Parley costs no task and no call."""
        if event == "INTERACTION_CREATE":
            barred = self._why_barred(*self._infos(table_of(payload, "channel")))
            to.start(self._interactions.take(payload, self._identity(payload), handler, barred))
            return
        if event in ("MESSAGE_CREATE", "MESSAGE_UPDATE") and not self._may_concern(payload):
            return
        channel = text_of(payload, "channel_id")
        if channel.isdigit():
            take = self._by_event[event]
            to.put(channel, take(payload, handler), lambda: take(payload, _refuse))

    def _may_concern(self, message: Payload) -> bool:
        """Outside of threads only messages to the bot; an edit may take the mention away."""
        if not is_from_a_person(message):
            return False
        info = self._channels.known(text_of(message, "channel_id"))
        if info is None or not info.guild or info.is_thread or message.get("edited_timestamp"):
            return True
        return concerns_bot(message, self._identity(message), info) or self._hears(message, info)

    def _hears(self, message: Payload, info: ChannelInfo) -> bool:
        """Whether the message needs no mention; one that answers another one is for its author."""
        begins_thread = bool(info.guild) and not info.is_thread and not _is_reply(message)
        return begins_thread and self._listens(info.place())

    async def _info(self, payload: Payload) -> ChannelInfo:
        return await self._channels.find(
            text_of(payload, "channel_id"), text_of(payload, "guild_id")
        )

    def _identity(self, payload: Payload) -> BotUser:
        return self._channels.seen_from(text_of(payload, "guild_id"), self._me)

    async def _message(self, message: Payload, handler: Handler) -> None:
        info = await self._info(message)
        if question := await self._question(message, info):
            is_here = self._is_for_bot(info) and not question.mentions_others
            await self._hand_over(question, handler, is_awaited=question.is_mention or is_here)

    async def _question(self, message: Payload, info: ChannelInfo) -> Question | None:
        me = self._identity(message)
        begins_thread = self._hears(message, info)
        if not (concerns_bot(message, me, info) or begins_thread):
            return None
        root = "" if info.is_direct or info.is_thread else await self._chains.root_of(message)
        question = read_question(message, me, info.place(root))
        if question is None:
            return None
        self._posting.name_thread(question.event_id, read_text(message, me).text or question.text)
        person = self._with_permissions(question.person, info, message)
        return replace(
            question,
            person=person,
            begins_thread=begins_thread,
            barred=self._why_barred(info),
        )

    def _is_for_bot(self, info: ChannelInfo) -> bool:
        """Whether messages there are meant for the bot, as far as Discord knows."""
        return info.is_direct or info.owner == self._me.user_id

    async def _hand_over(self, incoming: Incoming, handler: Handler, *, is_awaited: bool) -> None:
        """The gateway delivers nothing twice: a person who awaits an answer hears of a failure."""
        try:
            await handler(incoming)
        except ParleyError as error:
            if is_awaited:
                await self._apologise(incoming.place, sentence_for_people(error))
            raise

    async def _edit(self, message: Payload, handler: Handler) -> None:
        me, info = self._identity(message), await self._info(message)
        edited = read_edit(message, me, info.place(text_of(message, "id")))
        if edited is not None:
            edited = replace(edited, becomes=await self._question(message, info))
            is_ours = self._is_for_bot(info) or is_addressed(message, me)
            await self._hand_over(edited, handler, is_awaited=is_ours)

    async def _deletions(self, event: Payload, handler: Handler) -> None:
        info = await self._info(event)
        for deletion in read_deletions(event, info.place()):
            await handler(deletion)

    async def _reaction(self, event: Payload, handler: Handler) -> None:
        info = await self._info(event)
        request = read_reaction(event, self._me, info.place())
        if request is not None:
            person = self._with_permissions(request.person, info, event)
            request = replace(request, person=person)
            await self._hand_over(request, handler, is_awaited=self._is_for_bot(info))

    async def _reaction_taken(self, event: Payload, handler: Handler) -> None:
        taken = read_reaction_taken(event, self._me, (await self._info(event)).place())
        if taken is not None:
            await handler(taken)

    def _with_permissions(self, person: Person, info: ChannelInfo, payload: Payload) -> Person:
        member = table_of(payload, "member")
        user = text_of(payload, "user_id") or text_of(table_of(payload, "author"), "id")
        if info.is_direct or not member:
            return person
        may = self._channels.may_manage_messages(info, member, user)
        return replace(person, is_moderator=may)

    def _infos(self, channel: Payload) -> Iterator[ChannelInfo]:
        """A thread's own payload does not say whether its channel is age-restricted."""
        yield channel_info(channel, "")
        for key in ("id", "parent_id"):
            if info := self._channels.known(text_of(channel, key)):
                yield info

    def _why_barred(self, *infos: ChannelInfo) -> str:
        if self._age_restricted or not any(info.is_age_restricted for info in infos):
            return ""
        return NOT_HERE

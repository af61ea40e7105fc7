"""A gateway event -> what Parley takes, or None. Pure and total.

Where a message is (``Spot``) is looked up before: events name a channel, not its parent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from adapters.discord.ids import DIRECT, NAME, MessageRef, created_at
from adapters.discord.text import Identity, Payload, items, name_of, read_text, table, tables
from adapters.discord.text import text_of as text
from bot.types import (
    Attachment,
    Person,
    Place,
    Question,
    QuestionDeleted,
    QuestionEdited,
    StopRequest,
)

_DEFAULT, _REPLY = 0, 19
THREAD_TYPES = frozenset({10, 11, 12})
_DIRECT_TYPES = frozenset({1, 3})


@dataclass(frozen=True, slots=True)
class Spot:
    """``parent`` is the channel of a thread, ``owner`` who opened that.

    ``can_thread``: threads can be opened here.
    """

    guild: str
    channel: str
    parent: str = ""
    is_age_restricted: bool = False
    can_thread: bool = False
    owner: str = ""

    @property
    def is_direct(self) -> bool:
        return not self.guild

    @property
    def is_thread(self) -> bool:
        return bool(self.parent)

    def place(self, root: str = "") -> Place:
        """``root``: the message that a thread outside of Discord's own threads began with."""
        if self.is_direct:
            return Place(NAME, DIRECT, self.channel, "")
        thread = self.channel if self.is_thread else root
        return Place(NAME, self.guild, self.parent or self.channel, thread)


def is_from_a_person(message: Payload) -> bool:
    """Not from a bot, a webhook or Discord itself, and something that somebody wrote."""
    author = table(message, "author")
    is_somebody = bool(text(author, "id")) and not author.get("bot") and not author.get("system")
    is_written = message.get("type", _DEFAULT) in (_DEFAULT, _REPLY)
    return is_somebody and is_written and not message.get("webhook_id")


def is_addressed(message: Payload, me: Identity) -> bool:
    """Mentioned, or replied to."""
    answered = table(table(message, "referenced_message"), "author")
    return text(answered, "id") == me.user_id or read_text(message, me).mentions_bot


def concerns_us(message: Payload, me: Identity, spot: Spot) -> bool:
    return spot.is_direct or spot.is_thread or is_addressed(message, me)


def read_question(message: Payload, me: Identity, place: Place) -> Question | None:
    """``place`` is where the thread of this message is."""
    channel, message_id = text(message, "channel_id"), text(message, "id")
    if not (channel.isdigit() and message_id.isdigit() and is_from_a_person(message)):
        return None
    said = read_text(message, me)
    return Question(
        event_id=message_id,
        place=place,
        person=person_of(message, place),
        text=said.text,
        message_id=str(MessageRef(channel, message_id)),
        sent_at=_sent_at(message),
        is_direct=place.workspace == DIRECT,
        is_mention=is_addressed(message, me),
        mentions_others=said.mentions_others,
        attachments=read_attachments(message),
    )


def read_edit(message: Payload, me: Identity, place: Place) -> QuestionEdited | None:
    """Embeds and pins fire this with the text as it was, and without the intent with none."""
    edited_at = text(message, "edited_timestamp")
    channel, message_id = text(message, "channel_id"), text(message, "id")
    said = read_text(message, me)
    is_ours = channel.isdigit() and message_id.isdigit() and is_from_a_person(message)
    if not (is_ours and edited_at and said.text):
        return None
    return QuestionEdited(
        event_id=f"{message_id} {edited_at}",
        place=place,
        person=person_of(message, place),
        message_id=str(MessageRef(channel, message_id)),
        text=said.text,
    )


def read_deletions(event: Payload, place: Place) -> list[QuestionDeleted]:
    """One message or many; who deleted them is not said."""
    channel = text(event, "channel_id")
    ids = [text(event, "id"), *map(str, items(event, "ids"))]
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


def read_reaction(event: Payload, me: Identity, place: Place) -> StopRequest | None:
    """Discord numbers no reactions; who reacts again after a retry means it again."""
    user, message_id = text(event, "user_id"), text(event, "message_id")
    emoji, member = table(event, "emoji"), table(event, "member")
    name = text(emoji, "name")
    is_bot = user == me.user_id or bool(table(member, "user").get("bot"))
    if not (user and name and message_id.isdigit()) or is_bot:
        return None
    return StopRequest(
        event_id=f"reaction {uuid4()}",
        place=place,
        person=_person(user, table(member, "user"), member, place),
        message_id=str(MessageRef(text(event, "channel_id"), message_id)),
        reaction=name,
    )


def person_of(message: Payload, place: Place) -> Person:
    """The author of a message, or who caused an interaction."""
    member = table(message, "member")
    user = table(message, "author") or table(message, "user") or table(member, "user")
    return _person(text(user, "id"), user, member, place)


def _person(user_id: str, user: Payload, member: Payload, place: Place) -> Person:
    roles = tuple(str(role) for role in items(member, "roles"))
    return Person.at(place, user_id, name_of(user, member), roles)


def read_attachments(message: Payload) -> tuple[Attachment, ...]:
    found = (_attachment(file) for file in tables(message, "attachments"))
    return tuple(file for file in found if file.url)


def _attachment(file: Mapping[str, object]) -> Attachment:
    size = file.get("size")
    return Attachment(
        name=text(file, "filename") or "file",
        media_type=text(file, "content_type") or "application/octet-stream",
        size=size if isinstance(size, int) and size > 0 else 0,
        url=text(file, "url"),
    )


def _sent_at(message: Payload) -> datetime:
    try:
        sent_at = datetime.fromisoformat(text(message, "timestamp"))
    except ValueError:
        return created_at(text(message, "id"))
    return sent_at if sent_at.tzinfo else sent_at.replace(tzinfo=UTC)


def spot_of_channel(channel: Payload, guild: str) -> Spot:
    """From Discord's description of a channel."""
    kind = channel.get("type")
    if kind in _DIRECT_TYPES:
        return Spot("", text(channel, "id"))
    parent = text(channel, "parent_id") if kind in THREAD_TYPES else ""
    return Spot(
        guild=text(channel, "guild_id") or guild,
        channel=text(channel, "id"),
        parent=parent,
        is_age_restricted=bool(channel.get("nsfw")),
        can_thread=kind in (0, 5),
        owner=text(channel, "owner_id") if parent else "",
    )

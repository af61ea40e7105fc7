"""Message payloads: text, mentions, people and files. Pure and total."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from adapters.discord.api.tokens import Names, pieces, readable
from bot.adapter_support.payloads import (
    Payload,
    PlainText,
    items_of,
    size_of,
    table_of,
    tables_of,
    text_of,
)
from bot.types import Attachment, Person, Place


def _nameless(kind: str, some_id: str) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class BotUser:
    """The bot's user. ``roles``: ids of its managed roles; a mention of one mentions the bot.

    ``names``: of the channels and roles that the bot can see.
    """

    user_id: str
    name: str = "Parley"
    roles: frozenset[str] = frozenset()
    names: Names = field(default=_nameless, compare=False)


def read_text(message: Payload, me: BotUser) -> PlainText:
    """The text with names in place of ids, without the mention of the bot.

    A mention in code is none, and stays. Where Discord lists mentions, it is believed.
    """
    users = {text_of(user, "id") for user in tables_of(message, "mentions")}
    roles = {str(role) for role in items_of(message, "mention_roles")}
    mentions = (f"<@!?{me.user_id}>", *(f"<@&{role}>" for role in sorted(me.roles)))
    content, in_text = _without(text_of(message, "content"), f"(?:{'|'.join(mentions)})")
    return PlainText(
        text=readable(content, _names(message, me)).strip(),
        mentions_bot=me.user_id in users or bool(roles & me.roles) or (in_text and not users),
        mentions_others=bool(
            users - {me.user_id} or roles - me.roles or message.get("mention_everyone")
        ),
    )


def shown_text(message: Payload, me: BotUser) -> str:
    """The text as everybody sees it, with the mention of the bot."""
    return readable(text_of(message, "content"), _names(message, me)).strip()


def _names(message: Payload, me: BotUser) -> Names:
    users = {text_of(user, "id"): name_of(user) for user in tables_of(message, "mentions")}
    users.setdefault(me.user_id, me.name)
    return lambda kind, of: users.get(of, "") if kind == "@" else me.names(kind, of)


def _without(content: str, own: str) -> tuple[str, bool]:
    """The content without the own mention, and whether there was one."""
    content, num_leading = re.subn(rf"\A\s*{own}\s*[,:]?", "", content)
    found = [
        (piece, 0) if is_code else re.subn(rf"{own}[ \t]?", "", piece)
        for piece, is_code in pieces(content)
    ]
    return "".join(piece for piece, _ in found), any((num_leading, *(num for _, num in found)))


def name_of(user: Payload, member: Payload | None = None) -> str:
    """The name shown in the server: nickname, display name or user name."""
    own = member if member is not None else table_of(user, "member")
    names = (own.get("nick"), user.get("global_name"), user.get("username"))
    found = next((name for name in names if isinstance(name, str) and name.strip()), "")
    return " ".join(found.split())[:80]


def person_of(message: Payload, place: Place) -> Person:
    """The author of a message, or the user of an interaction."""
    member = table_of(message, "member")
    user = table_of(message, "author") or table_of(message, "user") or table_of(member, "user")
    return person(text_of(user, "id"), user, member, place)


def person(user_id: str, user: Payload, member: Payload, place: Place) -> Person:
    roles = tuple(str(role) for role in items_of(member, "roles"))
    return Person.at(place, user_id, name_of(user, member), roles)


def read_attachments(message: Payload) -> tuple[Attachment, ...]:
    found = (_attachment(file) for file in tables_of(message, "attachments"))
    return tuple(file for file in found if file.url)


def _attachment(file: Payload) -> Attachment:
    return Attachment(
        name=text_of(file, "filename") or "file",
        media_type=text_of(file, "content_type") or "application/octet-stream",
        size=size_of(file, "size"),
        url=text_of(file, "url"),
    )

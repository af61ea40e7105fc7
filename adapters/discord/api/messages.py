"""Message payloads: text, mentions, people and files. Pure and total."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

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

_TOKEN = re.compile(r"<(?:@!?([0-9]+)|@&([0-9]+)|#([0-9]+)|a?(:\w+:)[0-9]+)>")


@dataclass(frozen=True, slots=True)
class BotUser:
    """The bot's user. ``roles``: ids of its managed roles; a mention of one mentions the bot."""

    user_id: str
    name: str = "Parley"
    roles: frozenset[str] = frozenset()


def read_text(message: Payload, me: BotUser) -> PlainText:
    """The text with names in place of ids, without the mention of the bot."""
    content = text_of(message, "content")
    users = {text_of(user, "id"): name_of(user) for user in tables_of(message, "mentions")}
    roles = {str(role) for role in items_of(message, "mention_roles")}
    mentions = (f"<@!?{me.user_id}>", *(f"<@&{role}>" for role in sorted(me.roles)))
    own = f"(?:{'|'.join(mentions)})"
    in_text = re.search(f"<@!?{me.user_id}>", content) is not None
    return PlainText(
        text=_TOKEN.sub(lambda match: _shown(match, users), _without(content, own)).strip(),
        mentions_bot=in_text or me.user_id in users or bool(roles & me.roles),
        mentions_others=bool(
            users.keys() - {me.user_id} or roles - me.roles or message.get("mention_everyone")
        ),
    )


def _without(content: str, own: str) -> str:
    content = re.sub(rf"\A\s*{own}\s*[,:]?", "", content)
    return re.sub(rf"{own}[ \t]?", "", content)


def _shown(match: re.Match[str], users: Mapping[str, str]) -> str:
    user, role, channel, emoji = match.groups()
    if user:
        return f"@{users.get(user) or user}"
    return emoji or (f"@role-{role}" if role else f"#channel-{channel}")


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

"""What a person typed in Discord -> plain text, and whom it mentions. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Payload = Mapping[str, Any]

_TOKEN = re.compile(r"<(?:@!?([0-9]+)|@&([0-9]+)|#([0-9]+)|a?(:\w+:)[0-9]+)>")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the bot is. ``roles``: the ids of its own roles, which are mentioned like itself."""

    user_id: str
    name: str = "Parley"
    roles: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class PlainText:
    """``text`` without the bot's own mention."""

    text: str
    mentions_bot: bool
    mentions_others: bool


def read_text(message: Payload, me: Identity) -> PlainText:
    content = text_of(message, "content")
    users = {text_of(user, "id"): name_of(user) for user in tables(message, "mentions")}
    roles = {str(role) for role in items(message, "mention_roles")}
    own = f"(?:<@!?{me.user_id}>|" + "|".join(f"<@&{role}>" for role in sorted(me.roles)) + ")"
    own = own.replace("|)", ")")
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
    """As people in the server see it."""
    own = member if member is not None else table(user, "member")
    names = (own.get("nick"), user.get("global_name"), user.get("username"))
    found = next((name for name in names if isinstance(name, str) and name.strip()), "")
    return " ".join(found.split())[:80]


def text_of(payload: Payload, key: str) -> str:
    value = payload.get(key)
    return value if isinstance(value, str) else ""


def table(payload: Payload, key: str) -> Payload:
    value = payload.get(key)
    return value if isinstance(value, Mapping) else {}


def items(payload: Payload, key: str) -> list[Any]:
    value = payload.get(key)
    return value if isinstance(value, list) else []


def tables(payload: Payload, key: str) -> list[Payload]:
    return [item for item in items(payload, key) if isinstance(item, Mapping)]

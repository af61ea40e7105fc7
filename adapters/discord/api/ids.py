"""Message ids as Parley stores them, and what can be read from them. Pure.

A message is ``channel/message``: with its channel, so that an edit needs no look-up. A question
asked by a command has no message; its id holds the interaction's token, which is valid for
15 minutes and lets a new process finish the answer of an old one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from bot.types import Place

NAME = "discord"
DIRECT = "@me"
"""The workspace of direct messages, as in Discord's own URLs."""

_EPOCH_MS = 1_420_070_400_000
_PRIVATE = "private-"


def created_at(snowflake: str) -> datetime:
    """A snowflake holds the time of its creation."""
    return datetime.fromtimestamp(((int(snowflake) >> 22) + _EPOCH_MS) / 1000, UTC)


@dataclass(frozen=True, slots=True)
class MessageRef:
    channel: str
    message: str

    def __str__(self) -> str:
        return f"{self.channel}/{self.message}"


@dataclass(frozen=True, slots=True)
class InteractionRef:
    """``user``: the only reader of the answer if it is ``private``."""

    id: str
    user: str
    token: str = field(repr=False)
    private: bool = False

    def __str__(self) -> str:
        kind = "private" if self.private else "open"
        return f"interaction/{kind}/{self.user}/{self.id}/{self.token}"


def parse_ref(message_id: str | None) -> MessageRef | InteractionRef | None:
    """None for anything that is not an id in one of these forms."""
    parts = (message_id or "").split("/", 4)
    if len(parts) == 5 and parts[0] == "interaction":
        _, kind, user, interaction, token = parts
        return InteractionRef(interaction, user, token, kind == "private")
    return MessageRef(*parts) if len(parts) == 2 and all(map(str.isdigit, parts)) else None


def is_direct(place: Place) -> bool:
    return place.workspace == DIRECT


def private_thread(user: str, interaction: str) -> str:
    """A thread that one person sees; it holds the person, who must be known after a restart."""
    return f"{_PRIVATE}{user}-{interaction}"


def private_reader(place: Place) -> str | None:
    """The only reader of this thread; None: everybody in the channel."""
    if not place.thread.startswith(_PRIVATE):
        return None
    return place.thread.removeprefix(_PRIVATE).partition("-")[0]

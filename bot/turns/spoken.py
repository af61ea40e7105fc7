"""What a person says in a message that asks nothing of the model: a command."""

from __future__ import annotations

import re
from hashlib import sha256

from bot.stored import Turn
from bot.turns.queues import key_of
from bot.types import Command, Incoming, Place, Question

PLAIN_COMMANDS = ("stop", "retry", "continue", "forget", "status", "help", "catch up")
_QUOTES = re.compile(r"\n\n\[[^\n]+\]\n> .*", re.DOTALL)
"""What a message carries beside its own words (``quoted``): that commands nothing."""

_PERSONALITY = re.compile(r"personality(?: \S+(?: channel)?)?")
_LISTEN = re.compile(r"listen(?: o(?:n|ff))?")


def parse(text: str) -> tuple[str, str] | None:
    """Name and argument if the whole of ``text`` is a command; "help me with x" is a question."""
    words = " ".join(_QUOTES.sub("", text).split()).rstrip(".!").lower().removeprefix("/")
    if words in PLAIN_COMMANDS:
        return words, ""
    if _PERSONALITY.fullmatch(words) or _LISTEN.fullmatch(words):
        name, _, argument = words.partition(" ")
        return name, argument
    return None


def asks(turn: Turn) -> bool:
    """Whether the turn is still a question: its message may have been edited into a command."""
    return parse(turn.text) is None


def command_in(text: str, message: Incoming, message_id: str) -> Command | None:
    """The command that the message is; its event is the message as it reads.

    What awaits an answer comes once, and is found by its own event.
    """
    if (parsed := parse(text)) is None:
        return None
    name, argument = parsed
    as_read = reading_of(message.place, message_id, text)
    return Command(
        event_id=message.event_id if message.awaits_answer else as_read,
        awaits_answer=message.awaits_answer,
        place=message.place,
        person=message.person,
        name=name,
        argument=argument,
        is_direct=isinstance(message, Question) and message.is_direct,
    )


def reading_of(place: Place, message_id: str, text: str) -> str:
    """One event for every delivery of a message that reads so, in whatever kind of event."""
    digest = sha256(text.encode()).hexdigest()[:16]
    return f"{key_of(place, message_id)} {digest}"

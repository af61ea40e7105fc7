"""What ``help`` and ``personality`` say: which words there are, where, and for what. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Literal

from bot.capabilities import Capabilities
from bot.types import Command, Personality

Scope = Literal["conversation", "channel", "thread"]

HOW_TO_CHOOSE: Mapping[Scope, str] = MappingProxyType(
    {
        "conversation": "`personality NAME` chooses another one.",
        "channel": "Admins choose for the channel here. In a thread, mention me and say "
        "`personality NAME` to choose for that thread.",
        "thread": "`personality NAME` chooses for a thread, `personality NAME channel` for the "
        "channel.",
    }
)

_BY_MENTION = (
    "In a thread with me they may stand alone; elsewhere they come after a mention of me, or "
    "after `/parley`."
)
_BY_COMMAND = (
    "After `/parley` they mean your newest thread in this channel, and anything else is a "
    "question. In a thread, mention me and say them."
)


def scope_of(command: Command) -> Scope:
    """For what the command chooses who answers: outside of threads for the channel."""
    if command.is_direct:
        return "conversation"
    return "channel" if command.is_private and not command.place.thread else "thread"


def help_text(
    command: Command, now: Personality, names: Sequence[str], capabilities: Capabilities
) -> str:
    """``now``: who answers where it is asked; ``names``: of all who can."""
    shown = [f"Ask me anything, or say one of:\n{bullets(list(_words(command, now, names)))}"]
    if not command.is_direct:
        can_read = capabilities.catches_up is not None
        shown[0] += f"\n{bullets(list(_words_of_channels(command, can_read=can_read)))}"
        if capabilities.posts_questions is not None:
            shown.append(_BY_COMMAND if command.is_private else _BY_MENTION)
    return "\n\n".join(shown)


def _words(command: Command, now: Personality, names: Sequence[str]) -> Iterator[str]:
    scope = scope_of(command)
    there_are = ", ".join(f"`{name}`" for name in names)
    admins = " (admins)" * (scope == "channel")
    yield "`stop` ends the reply under way; so does a stop sign as a reaction"
    yield "`continue` goes on with an answer that was stopped or cut off"
    yield "`retry` answers your last question again; editing the question does, too"
    yield (
        f"`personality NAME` sets who answers in this {scope}{admins} "
        f"(now `{now.name}`; there are {there_are})"
    )
    yield "`forget` deletes what I remember of this thread"
    yield "`status` shows model, queue, context and what is left for you"


def _words_of_channels(command: Command, *, can_read: bool) -> Iterator[str]:
    """What is of use where others read along."""
    if scope_of(command) == "thread":
        yield "`personality NAME channel` sets who answers in this channel (admins)"
    yield (
        "`listen on` lets people ask in this channel without naming me, until `listen off` (admins)"
    )
    if can_read:
        yield "`catch up` tells you in private what was said in this channel"


def bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)

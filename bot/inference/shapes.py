"""Conversations in the forms that chat templates take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bot.types import ChatMessage, Role

_END_OF_THOUGHTS = "</think>"
_BETWEEN = "\n\n"


def forms(messages: Sequence[ChatMessage]) -> list[Sequence[ChatMessage]]:
    """The same conversation, ever more plainly.

    As it is; then one system message at most, and user and assistant in turn, a user first;
    then without a system role, its text opening the first message of a person.
    """
    begins = next((n for n, m in enumerate(messages) if m.role != "system"), len(messages))
    rest = _alternating(messages[begins:])
    if not begins:
        return [messages, rest]
    system = _joined("system", messages[:begins])
    return [messages, [system, *rest], [_joined("user", [system, rest[0]]), *rest[1:]]]


def without_thoughts(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """What an assistant thought before it said something earlier is left out."""
    return [
        replace(m, content=m.content.rpartition(_END_OF_THOUGHTS)[2])
        if m.role == "assistant"
        else m
        for m in messages
    ]


def _alternating(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """What a system says in the middle of it counts as said by a user."""
    taken = [ChatMessage("user", "")]
    for message in messages:
        role: Role = "assistant" if message.role == "assistant" else "user"
        if taken[-1].role == role:
            taken[-1] = _joined(role, [taken[-1], message])
        else:
            taken.append(replace(message, role=role))
    return taken


def _joined(role: Role, messages: Sequence[ChatMessage]) -> ChatMessage:
    texts = [m.content.strip() for m in messages]
    return ChatMessage(role, _BETWEEN.join(filter(None, texts)))

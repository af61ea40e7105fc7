"""The lines of a reply that say who answers. They are for people, and no model reads them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from bot.generation import ChatMessage

_NOTE = re.compile(
    r"^_(?:.+ broke off\. )?Answered by (?P<who>.+?)(?:, since .+ could not be reached)?:_$"
    r"|^_.+ (?:could not be reached|broke off)\._$",
    re.MULTILINE,
)


def answered_by(who: str) -> str:
    return f"_Answered by {who}:_\n\n"


def answered_instead(who: str, unreachable: str) -> str:
    return f"_Answered by {who}, since {unreachable} could not be reached:_\n\n"


def went_on(who: str, broken: str) -> str:
    """After the beginning of an answer of ``broken``."""
    return f"\n\n_{broken} broke off. Answered by {who}:_\n\n"


def unreachable(who: str) -> str:
    """After the answer of another."""
    return f"\n\n_{who} could not be reached._"


def broke_off(who: str) -> str:
    """After the beginning of its answer, and the answer of another."""
    return f"\n\n_{who} broke off._"


def author(reply: str) -> str:
    """Who began the reply, if it says so. What stands further below may be a model's own."""
    found = _NOTE.match(reply)
    return (found and found["who"]) or ""


def unforged(answer: str) -> str:
    """An answer without such lines of its own."""
    return _NOTE.sub("", answer)


def unnoted(messages: Iterable[ChatMessage]) -> tuple[ChatMessage, ...]:
    """The messages with the answers alone, of several in a reply the last."""
    return tuple(
        replace(each, content=answer_of(each.content)) if each.role == "assistant" else each
        for each in messages
    )


def answer_of(reply: str) -> str:
    """The last answer in a reply, without the lines around it."""
    if not (found := [*_NOTE.finditer(reply)]):
        return reply
    starts = [0, *(note.end() for note in found)]
    ends = [*(note.start() for note in found), len(reply)]
    answers = [reply[start:end].strip("\n") for start, end in zip(starts, ends, strict=True)]
    return next((each for each in reversed(answers) if each), "")

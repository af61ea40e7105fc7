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


_LOOKS_LIKE_ONE = re.compile(
    r"[ \t>]*[*_]+(?:.+ broke off\. )?Answered by .+:[*_]+\s*\Z"
    r"|[ \t>]*[*_]+.+ (?:could not be reached|broke off)\.[*_]+\s*\Z"
)
_MAY_BECOME_ONE = re.compile(r"[ \t>]*(?:[*_]+(?:[^\s*_].*)?)?\Z")
_MAX_LINE = 300
"""Characters of a line that could be taken for one."""


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
    """Who gave the last answer of a reply that begins with who answers; else empty."""
    found = [*_NOTE.finditer(reply)]
    if not found or found[0].start():
        return ""
    return next((note["who"] for note in reversed(found) if note["who"]), "")


class Unforged:
    """An answer as it grows, without lines that look like these. ``begun``: what it continues."""

    def __init__(self, begun: str = "") -> None:
        self._line = begun.rpartition("\n")[2]
        self._num_shown = len(self._line)

    def feed(self, text: str) -> str:
        """What may be shown now."""
        *ended, last = text.split("\n")
        shown = ""
        for part in ended:
            self._line += part
            shown += f"{self.close()}\n"
        self._line += last
        if len(self._line) <= _MAX_LINE and _MAY_BECOME_ONE.match(self._line):
            return shown
        rest, self._num_shown = self._line[self._num_shown :], len(self._line)
        return shown + rest

    def close(self) -> str:
        """What is left of its last line."""
        rest = "" if _LOOKS_LIKE_ONE.match(self._line) else self._line[self._num_shown :]
        self._line, self._num_shown = "", 0
        return rest


def unforged(answer: str) -> str:
    growing = Unforged()
    return growing.feed(answer) + growing.close()


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

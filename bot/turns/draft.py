"""A reply in the making, as its person sees it: the answer, and above it what was thought."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from bot.markup import complete
from bot.turns.ending import Ending, ending_of, failed
from bot.types import Finished

_NUM_LAST = 200
"""Characters of the newest thought that show while a folded reasoning grows."""


class Draft:
    """``reasoning``: how much of it the personality shows. None of it enters a later prompt."""

    def __init__(self, reasoning: Literal["hidden", "shown", "folded"]) -> None:
        self._shows = reasoning
        self._thoughts: list[str] = []
        self.answer = ""

    @property
    def has_thought(self) -> bool:
        return bool(self._thoughts)

    def think(self, text: str) -> None:
        self._thoughts.append(text)

    def say(self, text: str) -> None:
        self.answer += text

    @property
    def shown(self) -> str:
        return self._under_thoughts(self.answer)

    def end(self, finished: Finished, *, stopped: bool) -> Ending:
        ending = ending_of(self.answer, finished, stopped=stopped, has_thought=self.has_thought)
        return self._shown_whole(ending)

    def fail(self, sentence: str) -> Ending:
        return self._shown_whole(failed(sentence, self.answer))

    def _shown_whole(self, ending: Ending) -> Ending:
        return replace(ending, shown=self._under_thoughts(ending.shown, is_over=True))

    def _under_thoughts(self, markdown: str, *, is_over: bool = False) -> str:
        thoughts = "".join(self._thoughts).strip() if self._shows != "hidden" else ""
        if not thoughts:
            return markdown
        is_folded = self._shows == "folded"
        if is_folded and (markdown or is_over):
            above = f"> _Thought about it in {_num_words(thoughts)}._"
        else:
            above = _quote(_last_words(thoughts) if is_folded else thoughts)
        return f"{above}\n\n{markdown}" if markdown else above


def _num_words(text: str) -> str:
    number = len(text.split())
    return f"{number:,} words" if number != 1 else "one word"


def _last_words(text: str) -> str:
    """Of the newest paragraph, from the beginning of a word."""
    newest = text.rpartition("\n\n")[2]
    if len(newest) <= _NUM_LAST:
        return newest
    return f"… {newest[-_NUM_LAST:].partition(' ')[2]}"


def _quote(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in complete(text).split("\n"))

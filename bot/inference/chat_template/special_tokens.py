"""Special tokens of a prompt, which only the template's own text may become."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Special:
    """A token with a text. ``is_marker``: llama.cpp would parse it even in plain text."""

    id: int
    text: str
    strips_left: bool = False
    strips_right: bool = False
    is_marker: bool = False


class SpecialTokens:
    """Splits segments into special token ids and runs of plain text for the tokenizer."""

    def __init__(self, specials: Sequence[Special]) -> None:
        self._by_text = {s.text: s for s in specials if s.text}
        self._any = _alternatives(self._by_text)
        self._markers = _alternatives([s.text for s in specials if s.is_marker and s.text])

    def split(self, segments: Iterable[tuple[str, bool]]) -> list[int | str]:
        """Ids and runs of the segments, which are ``(text, from_template)``.

        Adjacent texts of the template form one run, as in the model's training. A marker in a
        person's text is cut into two runs, so that it does not become a token.
        """
        runs: list[int | str] = []
        joins = strips = False
        for text, from_template in segments:
            parts = self._any.split(text) if from_template else self._defuse(text)
            for part in parts:
                special = self._by_text.get(part) if from_template else None
                if special is not None:
                    _strip_end(runs, special)
                    runs.append(special.id)
                    joins, strips = False, special.strips_right
                elif text := part.lstrip() if strips else part:
                    _append(runs, text, joins)
                    joins, strips = from_template, False
            joins = isinstance(runs[-1], str) if runs else False
        return runs

    def _defuse(self, text: str) -> list[str]:
        """``text`` in pieces, none of which contains a marker."""
        pieces, start = [], 0
        for found in self._markers.finditer(text):
            middle = found.start() + max(1, len(found.group()) // 2)
            pieces.append(text[start:middle])
            start = middle
        return [*pieces, text[start:]]


def _append(runs: list[int | str], part: str, joins: bool) -> None:
    if joins and runs and isinstance(runs[-1], str):
        runs[-1] += part
    else:
        runs.append(part)


def _strip_end(runs: list[int | str], special: Special) -> None:
    if special.strips_left and runs and isinstance(runs[-1], str):
        runs[-1] = runs[-1].rstrip()
        if not runs[-1]:
            runs.pop()


def _alternatives(texts: Iterable[str]) -> re.Pattern[str]:
    longest_first = sorted(texts, key=len, reverse=True)
    return re.compile(f"({'|'.join(map(re.escape, longest_first))})" if longest_first else r"(?!)")

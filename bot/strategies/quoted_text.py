"""The text of a quoted answer as it grows, and what makes it whole wherever it is cut; pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, Self

from bot.answer_formats import Sentence

_BEGUN = re.compile(r"\n*(?:(?:(?<=\n)|^)>(?: (?:…(?: “?)?|“)?)?)?\Z")
"""What stands before the first letter of a quotation, as much of it as there is."""

_OPENING = re.compile(r"> (?:… )?“")
_LINE = re.compile(r"> (?:… )?“(.*)” (?:… )?\[(\d+)\]")
_HALF = re.compile(r"(?:\ufffd|(?<!\\)(?:\\\\)*\\)\Z")
"""What a token limit leaves of a character, or a backslash whose character is still to come."""

Outcome = Literal["quoted", "refused"]


@dataclass(frozen=True, slots=True)
class _Run:
    """``ends``: where its sentences end."""

    text: str
    ends: frozenset[int]

    @classmethod
    def of(cls, sentences: Sequence[Sentence]) -> Self:
        ends = accumulate(len(each.text) for each in sentences)
        rests = (each.is_rest for each in (*sentences[1:], Sentence("")))
        text = "".join(each.text for each in sentences)
        return cls(
            text, frozenset(end for end, is_cut in zip(ends, rests, strict=True) if not is_cut)
        )

    def is_ended_by(self, said: str) -> bool:
        return any(found.end() in self.ends for found in re.finditer(re.escape(said), self.text))


class QuotedText:
    """``passages``: number -> the runs of sentences that may be quoted as that.

    ``begun``: quotations that stand before the text.
    """

    def __init__(
        self,
        passages: Mapping[int, Sequence[Sequence[Sentence]]],
        refusal: str,
        begun: str = "",
    ) -> None:
        self._passages = {n: [_Run.of(each) for each in runs] for n, runs in passages.items()}
        self._refusal = refusal
        self._begun = begun
        self._text = ""
        self._num_shown = 0

    @property
    def outcome(self) -> Outcome | None:
        """None: nothing was said."""
        if self._shown == self._refusal:
            return "refused"
        return "quoted" if any(True for _ in self._numbers(self._shown)) else None

    @property
    def cited(self) -> list[int]:
        """The numbers of the passages that are quoted, each once; those before the text, too."""
        return list(dict.fromkeys(self._numbers(f"{self._begun}\n{self._shown}")))

    def feed(self, text: str) -> str:
        """What may be shown now: no quotation that has no letter yet, and no half of an escape."""
        self._text += text
        whole = _HALF.sub("", self._text)
        held = _BEGUN.search(whole)
        end = held.start() if held else len(whole)
        more, self._num_shown = self._text[self._num_shown : end], max(self._num_shown, end)
        return more

    def close(self) -> str:
        """What is missing where the text ends: of the quotation, or of the refusal."""
        rest = self._missing(self._shown)
        self._text = self._shown + rest
        self._num_shown = len(self._text)
        return rest

    @property
    def _shown(self) -> str:
        return self._text[: self._num_shown]

    def _missing(self, text: str) -> str:
        line = text.rpartition("\n")[2]
        if not line or self._number(line) is not None:
            return ""
        if self._refusal.startswith(text):
            return self._refusal[len(text) :]
        return self._closing(_OPENING.sub("", line, count=1))

    def _closing(self, said: str) -> str:
        """``said``: the quotation, and what there is of the marks after it.

        What is from no passage gets no number, and no source is named for it.
        """
        if number := next(self._of(said), None):
            is_whole = any(run.is_ended_by(said) for run in self._passages[number])
            return f"”{'' if is_whole else ' …'} [{number}]"
        for mark in re.finditer("”", said):
            quotation, begun = said[: mark.start()], said[mark.start() :]
            for number in self._of(quotation):
                for whole in (f"” [{number}]", f"” … [{number}]"):
                    if whole.startswith(begun):
                        return whole[len(begun) :]
        return "”"

    def _of(self, quotation: str) -> Iterator[int]:
        return (number for number in self._passages if self._says(number, quotation))

    def _says(self, number: int, quotation: str) -> bool:
        return any(quotation in run.text for run in self._passages.get(number, ()))

    def _numbers(self, text: str) -> Iterator[int]:
        found = map(self._number, text.split("\n"))
        return (number for number in found if number is not None)

    def _number(self, line: str) -> int | None:
        """Of the passage that a whole quotation is from."""
        found = _LINE.fullmatch(line)
        number = int(found[2]) if found else 0
        return number if found and self._says(number, found[1]) else None

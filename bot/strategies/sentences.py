"""Texts become the sentences that may be quoted from them; pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from bot.answer_formats import Sentence
from bot.markdown.literal import literally

_LINE_END = re.compile(r"\r\n|\r|\n")
_FENCE = re.compile(r"\s*(?:`{3,}|~{3,})")
_UNSAID = re.compile(r"\s*#{1,6}\s|[-=*_~|:+\s]*$")
"""Headings, which are named with the source; rules, borders of tables, empty lines."""

_MARK = re.compile(r"\s*(?:>\s?)*(?:(?:[-*+•]|\d{1,3}[.)])(?=\s|$)|\|)?\s*")
"""Before the text of an item, a row or a quotation, which begins a piece of its own."""

_ABBREVIATED = re.compile(
    r"(?:^|[\W_])(?:[^\W\d_]|\d{1,2}|[DM]rs?|Ms|Mme|Prof|St|No|Nr|vs|bzw|ca|Art|Abs|Fig)\.$"
)
_END = re.compile(r"[.!?…]+[\"'”’»)\]*_]*(?=\s+[^\sa-zß-öø-ÿ])|[。！？]+[”’」』）]*")
_CLAUSE = re.compile(r"[,;:–—][\"'”’»)\]]*(?=\s)|[，；：、]")
_GAP = re.compile(r"\s+")
_UNFIT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters, and halves of a character."""

_MAX_CHARACTERS, _MIN_CHARACTERS, _MIN_LETTERS = 320, 12, 2


def sentences(text: str) -> tuple[tuple[Sentence, ...], ...]:
    """Runs of sentences that follow each other in a paragraph, an item, a row, a line of code.

    A run is its sentences joined, white space between them and all: a span of the text, in
    Markdown that shows it as it is. A line break, with the white space around it, is one space.
    Long ones are cut, at the end of a clause if there is one; very short ones go with the next.
    """
    found = (tuple(_run(piece)) for piece in _pieces(text))
    return tuple(run for run in found if run)


def _pieces(text: str) -> Iterator[str]:
    """Each without white space at its ends."""
    piece: list[str] = []
    is_code = is_row = False
    for line in (*_LINE_END.split(text), ""):
        is_fence, mark = bool(_FENCE.match(line)), "" if is_code else _mark(line)
        is_unsaid = is_fence or bool(_UNSAID.match(line))
        if piece and (is_unsaid or is_code or mark or is_row):
            yield " ".join(piece)
            piece = []
        is_code ^= is_fence
        is_row = mark.endswith("|")
        if not is_unsaid:
            said = line.strip().removeprefix(mark).strip()
            piece.append(said.removesuffix("|").rstrip() if is_row else said)


def _mark(line: str) -> str:
    found = _MARK.match(line)
    return found.group().strip() if found else ""


def _run(piece: str) -> Iterator[Sentence]:
    """None of a piece without two letters or digits, or with what no prompt holds."""
    if sum(map(str.isalnum, piece)) < _MIN_LETTERS or _UNFIT.search(piece):
        return
    start, shown = 0, literally(piece)
    for part in _parts(piece):
        end = start + len(part.text)
        yield replace(part, text="".join(shown[start:end]))
        start = end


def _ends(piece: str) -> list[int]:
    """Where its sentences end; none of them is very short, if there is a longer one."""
    ends, start = [], 0
    for match in _END.finditer(piece):
        end = match.end()
        is_short = len(piece[start:end].strip()) < _MIN_CHARACTERS
        if not (is_short or _ABBREVIATED.search(piece, 0, end)):
            ends.append(end)
            start = end
    if ends and len(piece[start:].strip()) < _MIN_CHARACTERS:
        ends.pop()
    return [*ends, len(piece)]


def _parts(piece: str) -> Iterator[Sentence]:
    start = 0
    for end in _ends(piece):
        sentence, is_rest = piece[start:end], False
        while len(sentence) > _MAX_CHARACTERS:
            cut = _cut(sentence)
            yield Sentence(sentence[:cut], is_rest)
            sentence, is_rest = sentence[cut:], True
        yield Sentence(sentence, is_rest)
        start = end


def _cut(sentence: str) -> int:
    """Where it is cut: after a clause, or else before white space; not in its first half."""
    for border in (_CLAUSE, _GAP):
        found = border.finditer(sentence, _MAX_CHARACTERS // 2, _MAX_CHARACTERS)
        ends = [m.end() if border is _CLAUSE else m.start() for m in found]
        if ends:
            return ends[-1]
    return _MAX_CHARACTERS

"""Where marks of emphasis may stand in Teams' Markdown, and what makes them work there. Pure.

Markdown looks at the characters on both sides of a mark: between a letter and a bracket a mark
is none, and an underscore is none between letters. Scripts without spaces (Chinese, Japanese,
Korean) have such places all the time. A letter that is in the way is written as a numeric
entity: it is shown as itself, and counts as punctuation.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

EMPHASIS = "*"
_UNDERSCORE = "_"


class OpeningMark(str):
    """A mark that begins something; other parts may hold the same characters."""

    __slots__ = ()


class ClosingMark(str):
    __slots__ = ()


class EscapedText(str):
    """Escaped text, of which blanks may be moved and letters rewritten."""

    __slots__ = ()


class ShownCode(str):
    """A code span; ``content``: what stands in it."""

    content: str

    def __new__(cls, content: str) -> ShownCode:
        fence = "`" * (1 + max(map(len, re.findall("`+", content)), default=0))
        has_edge = content[0] == "`" or content[-1] == "`"
        is_padded = content[0] == content[-1] == " " and bool(content.strip())
        space = " " if has_edge or is_padded else ""
        self = super().__new__(cls, f"{fence}{space}{content}{space}{fence}")
        self.content = content
        return self


def emphasised(parts: Sequence[str]) -> str:
    """The text of one block with its marks, so that each of them works."""
    pieces = _tidied(parts)
    for begin, end in _pairs(pieces):
        if pieces[begin] == EMPHASIS:
            _choose_mark(pieces, begin, end)
    for begin, end in _pairs(pieces):
        mark = pieces[begin]
        if mark == _UNDERSCORE or _may_be_punctuation(_first(pieces, begin + 1)):
            _free_before(pieces, begin)
        if mark == _UNDERSCORE or _may_be_punctuation(_last(pieces, end - 1)):
            _free_behind(pieces, end)
    return "".join(pieces)


def _tidied(parts: Sequence[str]) -> list[str]:
    """No mark has a blank on its inner side or nothing within; what touches its like is one."""
    pieces: list[str] = []
    for part in parts:
        if isinstance(part, OpeningMark):
            if pieces and isinstance(pieces[-1], ClosingMark) and str(part) == pieces[-1]:
                pieces.pop()  # one goes on where the other ends
            else:
                pieces.append(part)
        elif isinstance(part, ClosingMark):
            _close(pieces, part)
        elif isinstance(part, EscapedText):
            _add_words(pieces, part)
        elif isinstance(part, ShownCode) and pieces and isinstance(before := pieces[-1], ShownCode):
            pieces[-1] = ShownCode(before.content + part.content)
        elif part:
            _add_other(pieces, part)
    return pieces


def _add_other(pieces: list[str], part: str) -> None:
    """A link right behind an exclamation mark would be an image."""
    before = pieces[-1] if pieces else ""
    if part.startswith("[") and isinstance(before, EscapedText) and before.endswith("!"):
        pieces[-1] = EscapedText(f"{before[:-1]}\\!")
    pieces.append(part)


def _close(pieces: list[str], mark: ClosingMark) -> None:
    blank = ""
    if pieces and isinstance(pieces[-1], EscapedText):
        text = pieces.pop()
        kept = text.rstrip()
        blank = text[len(kept) :]
        if kept:
            pieces.append(EscapedText(kept))
    if pieces and isinstance(pieces[-1], OpeningMark):
        pieces.pop()
    else:
        pieces.append(mark)
    _add_words(pieces, EscapedText(blank))


def _add_words(pieces: list[str], words: EscapedText) -> None:
    place = len(pieces)
    while place and isinstance(pieces[place - 1], OpeningMark):
        place -= 1
    kept = words.lstrip() if place < len(pieces) else words
    for position, text in ((place, words[: len(words) - len(kept)]), (None, kept)):
        at = len(pieces) if position is None else position
        if text and at and isinstance(pieces[at - 1], EscapedText):
            pieces[at - 1] = EscapedText(pieces[at - 1] + text)
        elif text:
            pieces.insert(at, EscapedText(text))


def _pairs(pieces: Sequence[str]) -> Iterator[tuple[int, int]]:
    """The places of each mark's beginning and end, inner ones first."""
    begun: list[int] = []
    for place, piece in enumerate(pieces):
        if isinstance(piece, OpeningMark):
            begun.append(place)
        elif isinstance(piece, ClosingMark):
            yield begun.pop(), place


def _choose_mark(pieces: list[str], begin: int, end: int) -> None:
    """An underscore between borders, a star within a word; but stars may not touch."""
    outer = _last(pieces, begin - 1), _first(pieces, end + 1)
    inner = _first(pieces, begin + 1), _last(pieces, end - 1)
    if all(map(_is_border, outer)) or EMPHASIS in (*outer, *inner):
        pieces[begin], pieces[end] = OpeningMark(_UNDERSCORE), ClosingMark(_UNDERSCORE)


def _free_before(pieces: list[str], place: int) -> None:
    letter = _last(pieces, place - 1)
    if not _is_border(letter):
        pieces[place - 1] = EscapedText(f"{pieces[place - 1][:-1]}&#{ord(letter)};")


def _free_behind(pieces: list[str], place: int) -> None:
    letter = _first(pieces, place + 1)
    if not _is_border(letter):
        pieces[place + 1] = EscapedText(f"&#{ord(letter)};{pieces[place + 1][1:]}")


def _first(pieces: Sequence[str], place: int) -> str:
    return pieces[place][0] if place < len(pieces) else ""


def _last(pieces: Sequence[str], place: int) -> str:
    return pieces[place][-1] if place >= 0 else ""


def _is_border(character: str) -> bool:
    """The beginning or end of the text, a blank, or what every Markdown takes for punctuation."""
    return not character or character.isspace() or _kind(character) == "P"


def _may_be_punctuation(character: str) -> bool:
    """A sign (an emoji, a plus) is punctuation to some."""
    return _kind(character) in ("P", "S")


def _kind(character: str) -> str:
    is_ascii_sign = character.isascii() and not character.isalnum() and not character.isspace()
    return "P" if is_ascii_sign else unicodedata.category(character)[0]

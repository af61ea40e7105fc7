"""Texts as a search compares them: without case, accents and forms of the same letter."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

_LETTERS = {"ø": "o", "ł": "l", "đ": "d", "ħ": "h", "ŧ": "t", "ı": "i", "æ": "ae", "œ": "oe"}
"""Letters with a stroke and the like, which Unicode does not take apart."""

_PLAIN = _LETTERS | dict.fromkeys("‘’ʼ", "'") | dict.fromkeys("‐–—", "-")
"""And signs as a keyboard has them."""

_OTHER_LETTERS = (0, 7, 8, 9)
"""Combining classes of signs that make another letter, as in ``\N{HIRAGANA LETTER GA}``."""

_SYLLABLES = range(0xAC00, 0xD7A4)
"""Of Korean, which stay whole."""

_PLANE = range(0x80, 0x10000)
_MATHEMATICAL = range(0x1D400, 0x1D800)
"""Bold and other styles of plain letters."""


def folded(text: str) -> str:
    """A text has few different letters that need more than ``lower``."""
    if text.isascii():
        return text.lower()
    pattern, folds = _table()
    lowered = unicodedata.normalize("NFC", text).lower()
    for letter in set(pattern.findall(lowered)):
        lowered = lowered.replace(letter, folds.get(letter, letter))
    return lowered


@cache
def _table() -> tuple[re.Pattern[str], dict[str, str]]:
    """One plane and one range: a class of more than that is searched one letter after another."""
    folds = {
        char: fold
        for char in map(chr, (*_PLANE, *_MATHEMATICAL))
        if ord(char) not in _SYLLABLES and (fold := _fold(char)) != char
    }
    plane = re.escape("".join(char for char in folds if ord(char) in _PLANE))
    styled = f"{chr(_MATHEMATICAL.start)}-{chr(_MATHEMATICAL.stop - 1)}"
    return re.compile(f"[{plane}{styled}]"), folds


def _fold(char: str) -> str:
    parts = unicodedata.normalize("NFKD", char)
    bare = "".join(part for part in parts if not _is_sign(part)).casefold()
    return "".join(_PLAIN.get(letter, letter) for letter in bare)


def _is_sign(char: str) -> bool:
    """An accent or point on a letter, or what nobody sees."""
    is_mark = unicodedata.combining(char) not in _OTHER_LETTERS
    return is_mark or unicodedata.category(char) == "Cf"

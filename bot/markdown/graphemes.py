"""Where text may be cut so that every character that people see stays whole."""

from __future__ import annotations

import unicodedata

_JOINER = "\u200d"
_EXTENDING = frozenset({"Mn", "Me", "Mc"})


def is_between_graphemes(text: str, position: int) -> bool:
    """Unicode's rules for marks, emoji sequences, flags and conjoining jamo."""
    before, after = text[position - 1], text[position]
    if before == _JOINER or before + after == "\r\n":
        return False
    if _is_flag_letter(before) and _is_flag_letter(after):
        return _num_flag_letters_before(text, position) % 2 == 0
    return not _extends(after)


def _extends(character: str) -> bool:
    return (
        unicodedata.category(character) in _EXTENDING
        or character == _JOINER
        or "\U0001f3fb" <= character <= "\U0001f3ff"  # skin tones
        or "\U000e0020" <= character <= "\U000e007f"  # tags
        or "\u1160" <= character <= "\u11ff"  # Hangul vowels and finals
    )


def _is_flag_letter(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _num_flag_letters_before(text: str, position: int) -> int:
    start = position
    while start > 0 and _is_flag_letter(text[start - 1]):
        start -= 1
    return position - start

"""The part of a long text that a prompt holds; pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

GAP = "[…]"
_BEGINNING = 4
"""The beginning gets one part in so many; what matches the question gets the rest."""

_SPACELESS = r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"
_WORD = re.compile(rf"{_SPACELESS}|(?:(?!{_SPACELESS})[^\W_]){{3,}}")
_MAX_PIECE = 1_200


def excerpt(text: str, question: str, max_characters: int) -> tuple[str, bool]:
    """The text, or its beginning and the pieces that match the question; whether it is cut.

    Every piece is a part of the text as it is, in its order; ``GAP`` stands for what lies
    between.
    """
    text = text.strip()
    if len(text) <= max_characters:
        return text, False
    pieces = _pieces(text)
    chosen = _beginning(pieces, max_characters // _BEGINNING)
    used = sum(len(pieces[number]) + 2 for number in chosen)
    for number in _by_match(pieces, question):
        cost = len(pieces[number]) + len(GAP) + 4
        if number not in chosen and used + cost <= max_characters:
            chosen.add(number)
            used += cost
    for number in range(len(pieces)):  # what room is left goes on with the beginning
        cost = len(pieces[number]) + 2
        if number not in chosen:
            if used + cost > max_characters:
                break
            chosen.add(number)
            used += cost
    if not chosen:
        return text[:max_characters], True
    return _joined(pieces, sorted(chosen)), True


def _pieces(text: str) -> list[str]:
    """Paragraphs; a long one by its lines, a long line by its length."""
    pieces: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text):
        if len(paragraph) <= _MAX_PIECE:
            pieces.append(paragraph)
            continue
        for line in paragraph.split("\n"):
            pieces += [line[i : i + _MAX_PIECE] for i in range(0, len(line), _MAX_PIECE)]
    return [piece for piece in pieces if piece.strip()]


def _beginning(pieces: Sequence[str], max_characters: int) -> set[int]:
    used, chosen = 0, set[int]()
    for number, piece in enumerate(pieces):
        used += len(piece) + 2
        if used > max_characters:
            break
        chosen.add(number)
    return chosen


def _by_match(pieces: Sequence[str], question: str) -> list[int]:
    """The numbers of the pieces that have words of the question, those with rarer ones first."""
    asked = _words(question)
    found = [asked & _words(piece) for piece in pieces]
    num_with = Counter(word for words in found for word in words)
    weights = [sum(1 / num_with[word] for word in words) for words in found]
    ranked = sorted(range(len(pieces)), key=lambda number: (-weights[number], number))
    return [number for number in ranked if weights[number] > 0]


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.casefold()))


def _joined(pieces: Sequence[str], numbers: Sequence[int]) -> str:
    parts, before = [], -1
    for number in numbers:
        if number != before + 1:
            parts.append(GAP)
        parts.append(pieces[number])
        before = number
    return "\n\n".join(parts)

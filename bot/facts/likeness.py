"""How much one word is like another: an inflection, a part of a compound, a slip of the pen."""

from __future__ import annotations

from functools import lru_cache

MIN_LIKENESS = 0.5
"""Of words that may stand for each other."""

_MIN_SHORT_LIKENESS = 0.65
_MIN_PART = 4
"""Letters of a word that is sought at the beginning or the end of compounds."""

_MIN_INNER_PART = 5
_PART = 0.6
_INNER_PART = 0.5


@lru_cache(maxsize=64)
def _trigrams_of_asked(word: str) -> frozenset[str]:
    return frozenset(_trigrams(word))


def _trigrams(word: str) -> list[str]:
    """With those of its beginning and its end."""
    edged = f"__{word}_"
    return [edged[number : number + 3] for number in range(len(edged) - 2)]


def likeness(asked: str, found: str) -> float:
    """1.0: the same word; 0.0: nothing that counts. Both are folded."""
    if asked == found:
        return 1.0
    if not (asked.isalpha() and found.isalpha()):
        return 0.0
    same = max(_share(asked, found), _as_part(asked, found))
    is_short = min(len(asked), len(found)) < _MIN_PART
    return same if same >= (_MIN_SHORT_LIKENESS if is_short else MIN_LIKENESS) else 0.0


def _share(asked: str, found: str) -> float:
    """Of the trigrams of both (Dice)."""
    one, other = _trigrams_of_asked(asked), _trigrams(found)
    return 2 * sum(each in one for each in other) / (len(one) + len(other))


def _as_part(asked: str, found: str) -> float:
    short, long = sorted((asked, found), key=len)
    if len(short) >= _MIN_PART and (long.startswith(short) or long.endswith(short)):
        return _PART
    return _INNER_PART if len(short) >= _MIN_INNER_PART and short in long else 0.0

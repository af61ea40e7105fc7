"""How much one word is like another: an inflection, a part of a compound, a slip of the pen."""

from __future__ import annotations

MIN_LIKENESS = 0.5
"""Of words that may stand for each other."""

_MIN_PART = 4
"""Letters of a word that is sought at the beginning or the end of compounds."""

_MIN_INNER_PART = 5
_PART = 0.6
_INNER_PART = 0.5


def trigrams_of(word: str) -> set[str]:
    """As SQLite's tokenizer makes them."""
    return {word[number : number + 3] for number in range(len(word) - 2)}


def likeness(asked: str, found: str) -> float:
    """1.0: the same word; 0.0: nothing that counts. Both are folded."""
    if asked == found:
        return 1.0
    if not (asked.isalpha() and found.isalpha()):
        return 0.0
    same = max(_share(asked, found), _as_part(asked, found))
    return same if same >= MIN_LIKENESS else 0.0


def _share(asked: str, found: str) -> float:
    """Of trigrams, with the beginning and the end of the words (Dice)."""
    one, other = trigrams_of(f"__{asked}_"), trigrams_of(f"__{found}_")
    return 2 * len(one & other) / (len(one) + len(other))


def _as_part(asked: str, found: str) -> float:
    short, long = sorted((asked, found), key=len)
    if len(short) >= _MIN_PART and (long.startswith(short) or long.endswith(short)):
        return _PART
    return _INNER_PART if len(short) >= _MIN_INNER_PART and short in long else 0.0

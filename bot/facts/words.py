"""The words of a text, as they are indexed and looked for."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

_WORD = re.compile(r"[^\W_]+")
_ACCENTS = re.compile("[\u0300-\u036f]+")
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7af\uf900-\ufaff\U00020000-\U0002fa1f"
)
"""Scripts that put no space between words, or join much to them."""

_MAX_WORD = 12
"""Letters of a word, where the length of text without spaces is measured."""

_RUNS = re.compile(f"[{_UNSPACED}]+|[^{_UNSPACED}]+")
_LETTER = re.compile(f"[{_UNSPACED}]")


def folded(text: str) -> str:
    """Without case and accents."""
    if text.isascii():
        return text.lower()
    bare = _ACCENTS.sub("", unicodedata.normalize("NFKD", text.casefold()))
    return unicodedata.normalize("NFC", bare)


def words_of(text: str) -> list[str]:
    """Folded; a run of a script without spaces as its pairs of letters, one over another."""
    found = _WORD.findall(folded(text))
    if text.isascii() or not is_unspaced(text):
        return found
    return [word for each in found for word in _pairs(each)]


def num_words(text: str) -> int:
    """By which the length of a passage is measured; two letters without spaces are a word."""
    num_spaced = max(len(text.split()), len(text) // _MAX_WORD)
    return num_spaced if text.isascii() else num_spaced + len(_LETTER.findall(text)) // 2


def is_unspaced(text: str) -> bool:
    return _LETTER.search(text) is not None


def _pairs(word: str) -> Iterator[str]:
    for run in _RUNS.findall(word):
        if len(run) > 2 and _LETTER.match(run):
            yield from (run[number : number + 2] for number in range(len(run) - 1))
        else:
            yield run

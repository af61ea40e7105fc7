"""Which passages answer a question: two rankings of an index, merged, and weighed by words.

The first ranking has the question's own words, the second those of the base that are like them.
What either finds is scored by BM25 with the likeness of the words as their weight; how rare a
word is decides how much it counts.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bot.facts.index import FoundPassage, IndexReader, heading_words
from bot.facts.likeness import likeness, trigrams_of
from bot.facts.stop_words import STOP_WORDS
from bot.facts.words import words_of

_MAX_ASKED = 24
"""Words of a question that count; the rarest."""

_MAX_CANDIDATES = 40
"""Passages of each ranking."""

_MAX_WEIGHED = 8_000
"""Passages that BM25 may have to weigh for a ranking; a frequent word alone finds nothing then."""

_MAX_LIKE = 12
"""Words that may stand for a word of the question."""

_MAX_COMPARED = 2_000
_MIN_COVERAGE = 0.3
"""Of the weight of the question's words, in the passage found: with less it is about another."""

_SATURATION = 1.2
_LENGTH_SHARE = 0.5
_USUAL_WORDS = 150
_HEADING = 2.0
_RANK_OFFSET = 10
_RANK_WEIGHT = 0.0


@dataclass(frozen=True, slots=True)
class AskedWord:
    """``weight``: how rare it is. ``like``: the words of the base for it, with their likeness."""

    weight: float
    like: Mapping[str, float]


def find(reader: IndexReader, question: str, limit: int) -> list[FoundPassage]:
    """The passages that fit best, the best first. Raises ``IndexDamaged``."""
    num_passages = reader.num_passages()
    words = list(dict.fromkeys(each for each in words_of(question) if each not in STOP_WORDS))
    if not (words and num_passages):
        return []
    counts = reader.nums_with(words)
    words = sorted(words, key=lambda each: counts.get(each, 0))[:_MAX_ASKED]
    asked = [_asked(reader, each, counts, num_passages) for each in words]
    rankings = _rankings(reader, words, asked, counts)
    ranks = _merged(rankings)
    candidates = reader.passages(ranks)
    return _ranked(candidates, asked, ranks)[:limit]


def _asked(
    reader: IndexReader, word: str, counts: Mapping[str, int], num_passages: int
) -> AskedWord:
    near = reader.words_with(trigrams_of(word), _MAX_COMPARED) if word.isalpha() else []
    by_likeness = {each: likeness(word, each) for each in near}
    best = sorted((each for each in by_likeness if by_likeness[each]), key=by_likeness.get)  # type: ignore[arg-type]
    like = {each: by_likeness[each] for each in best[::-1][:_MAX_LIKE]}
    if word in counts:
        like[word] = 1.0
    number = counts.get(word, 0)
    return AskedWord(math.log(1 + (num_passages - number + 0.5) / (number + 0.5)), like)


def _rankings(
    reader: IndexReader,
    words: Sequence[str],
    asked: Iterable[AskedWord],
    counts: Mapping[str, int],
) -> list[list[int]]:
    like = {each for one in asked for each in one.like}
    alike = dict(counts) | reader.nums_with(like - counts.keys())
    groups = (_affordable(group, alike) for group in (counts.keys() & set(words), like))
    return [reader.best(group, _MAX_CANDIDATES) for group in groups if group]


def _affordable(words: Iterable[str], counts: Mapping[str, int]) -> list[str]:
    """The rarest of them, as many as can be weighed in time."""
    found: list[str] = []
    left = _MAX_WEIGHED
    for word in sorted(words, key=lambda each: counts.get(each, 0)):
        left -= counts.get(word, 0)
        if found and left < 0:
            break
        found.append(word)
    return found


def _merged(rankings: Iterable[Sequence[int]]) -> dict[int, float]:
    """Reciprocal rank fusion: passages by the sum of their places' reciprocals, the best first."""
    scores: Counter[int] = Counter()
    for ranking in rankings:
        for place, number in enumerate(ranking):
            scores[number] += 1 / (_RANK_OFFSET + place)  # type: ignore[assignment]
    return dict(scores.most_common())


def _ranked(
    candidates: Iterable[FoundPassage], asked: Sequence[AskedWord], ranks: Mapping[int, float]
) -> list[FoundPassage]:
    whole = sum(each.weight for each in asked)
    scored = []
    for each in candidates:
        score, coverage = _score(each, asked)
        if coverage >= _MIN_COVERAGE * whole:
            scored.append((score + _RANK_WEIGHT * ranks[each.number], each))
    scored.sort(key=lambda each: -each[0])
    return [each for _, each in scored]


def _score(passage: FoundPassage, asked: Iterable[AskedWord]) -> tuple[float, float]:
    """By BM25, and the weight of the words that stand in it at all."""
    words = words_of(passage.text)
    counts = Counter(words)
    above = frozenset(heading_words(passage.path, passage.heading))
    length = 1 - _LENGTH_SHARE + _LENGTH_SHARE * len(words) / _USUAL_WORDS
    score = coverage = 0.0
    for word in asked:
        num = best = 0.0
        for each, like in word.like.items():
            here = counts.get(each, 0) + (_HEADING if each in above else 0.0)
            if here:
                num += here * like
                best = max(best, like)
        score += word.weight * num * (_SATURATION + 1) / (num + _SATURATION * length)
        coverage += word.weight * best
    return score, coverage

"""Which passages answer a question: three rankings, merged by their places.

The first has the question's own words, the second those of the base that are like them; FTS5 ranks
both by BM25. The third weighs what they found again, each word by its likeness and by how rare the
word that was asked for is.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from bot.facts.index import FoundPassage, IndexReader, heading_words
from bot.facts.likeness import likeness
from bot.facts.stop_words import STOP_WORDS
from bot.facts.words import words_of

_MAX_ASKED = 24
"""Words of a question that count; the rarest."""

_MAX_COUNTED = 1_000
"""Words of a question that are looked up at all; the first."""

_MAX_CANDIDATES = 25
"""Passages of each ranking."""

_MAX_WEIGHED = 4_000
"""Passages that BM25 may have to weigh for a ranking; a frequent word alone finds nothing then."""

_MAX_LIKE = 12
"""Words that may stand for a word of the question."""

_UNKNOWN = 0.4
"""What is left of the weight of a word that is like none of the base."""

_MAX_COMPARED = 100
_MIN_COVERAGE = 0.22
"""Of the weight of the question's words, in the passage found: with less it is about another."""

_SATURATION = 1.2
_LENGTH_SHARE = 0.75
_USUAL_WORDS = 150
_HEADING = 2.0
_RANK_OFFSET = 10
"""Of reciprocal rank fusion: the larger, the less the first places count."""


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
    words = words[:_MAX_COUNTED]
    counts = reader.nums_with(words)
    words = sorted(words, key=lambda each: counts.get(each, 0))[:_MAX_ASKED]
    asked = [_asked(reader, each, counts, num_passages) for each in words]
    rankings = _rankings(reader, words, asked, counts)
    candidates = reader.passages(dict.fromkeys(chain.from_iterable(rankings)))
    weighed = _weighed(candidates, asked)
    by_number = {each.number: each for each in weighed}
    merged = _merged([*rankings, list(by_number)])
    return [by_number[number] for number in merged if number in by_number][:limit]


def _asked(
    reader: IndexReader, word: str, counts: Mapping[str, int], num_passages: int
) -> AskedWord:
    near = reader.words_like(word, _MAX_COMPARED) if word.isalpha() else []
    by_likeness = {each: likeness(word, each) for each in near if each not in STOP_WORDS}
    best = sorted((each for each in by_likeness if by_likeness[each]), key=by_likeness.get)  # type: ignore[arg-type]
    like = {each: by_likeness[each] for each in best[::-1][:_MAX_LIKE]}
    if word in counts:
        like[word] = 1.0
    number = counts.get(word, 0)
    weight = math.log(1 + (num_passages - number + 0.5) / (number + 0.5))
    return AskedWord(weight if like else _UNKNOWN * weight, like)


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


def _merged(rankings: Iterable[Sequence[int]]) -> list[int]:
    """By the sum of their places' reciprocals, the best first."""
    scores: defaultdict[int, float] = defaultdict(float)
    for ranking in rankings:
        for place, number in enumerate(ranking):
            scores[number] += 1 / (_RANK_OFFSET + place)
    return sorted(scores, key=lambda each: -scores[each])


def _weighed(candidates: Iterable[FoundPassage], asked: Sequence[AskedWord]) -> list[FoundPassage]:
    """The best first, without those that have too little of the question."""
    wanted = frozenset(chain.from_iterable(each.like for each in asked))
    enough = _MIN_COVERAGE * sum(each.weight for each in asked)
    scores = ((each, *_score(each, asked, wanted)) for each in candidates)
    fit = [(each, score) for each, score, coverage in scores if coverage >= enough]
    return [each for each, _ in sorted(fit, key=lambda pair: -pair[1])]


def _score(
    passage: FoundPassage, asked: Iterable[AskedWord], wanted: frozenset[str]
) -> tuple[float, float]:
    """By BM25, and the weight of the words that stand in it at all."""
    words = words_of(passage.text)
    counts = Counter(each for each in words if each in wanted)
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

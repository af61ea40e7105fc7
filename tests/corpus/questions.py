"""A corpus of facts, questions about it in other words than its own, and documents that distract.

``facts/documents``: a school's handbook in English, a ministry's rules in German and a washing
machine's manual in French; ``facts/questions.txt`` says which passage answers which question.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from bot.facts import ranking
from bot.facts.index import FoundPassage, IndexReader
from bot.facts.words import words_of

_FOLDER = Path(__file__).with_name("facts")
DOCUMENTS = _FOLDER / "documents"

_SYLLABLES = [a + b for a in "bcdfghklmnprstvwz" for b in ("a", "e", "i", "o", "er", "en", "un")]
_NUM_WORDS = 30_000
_KNOWN_SHARE = 0.15
"""Of the words of a document that distracts, those of the corpus, as often as they are there."""


@dataclass(frozen=True, slots=True)
class AskedFact:
    """``phrase`` stands in the passage that answers, and in no other."""

    path: str
    phrase: str
    question: str

    def is_among(self, found: list[FoundPassage]) -> bool:
        return any(each.path == self.path and self.phrase in each.text for each in found)


@dataclass(frozen=True, slots=True)
class Recall:
    """``missed``: the questions whose passage is not among the five that were found."""

    num_asked: int
    missed: tuple[AskedFact, ...]

    @property
    def share(self) -> float:
        return 1 - len(self.missed) / self.num_asked


def asked_facts() -> list[AskedFact]:
    lines = (_FOLDER / "questions.txt").read_text("utf-8").splitlines()
    parts = (line.split("|") for line in lines if line and not line.startswith("#"))
    return [AskedFact(*(each.strip() for each in part)) for part in parts]


def unanswerable() -> list[str]:
    """What people say in a chat that no document of the corpus has to do with."""
    return (_FOLDER / "unanswerable.txt").read_text("utf-8").splitlines()


def recall_at_5(reader: IndexReader, asked: list[AskedFact]) -> Recall:
    missed = [each for each in asked if not each.is_among(ranking.find(reader, each.question, 5))]
    return Recall(len(asked), tuple(missed))


def distractors(number: int, num_words: int) -> Iterator[str]:
    """Documents of made-up words, of which few are frequent, and of words of the corpus."""
    chance = random.Random(number)  # noqa: S311 - nothing secret
    made_up = sorted(
        {
            "".join(chance.choices(chance.sample(_SYLLABLES, 9), k=chance.randint(2, 4)))
            for _ in range(_NUM_WORDS)
        }
    )
    chance.shuffle(made_up)
    weights = list(accumulate(1 / (place + 20) for place in range(len(made_up))))
    texts = (path.read_text("utf-8") for path in sorted(DOCUMENTS.rglob("*.*")))
    known = [word for text in texts for word in words_of(text)]
    for _ in range(number):
        words = chance.choices(made_up, cum_weights=weights, k=num_words)
        for place in range(num_words):
            if chance.random() < _KNOWN_SHARE:
                words[place] = chance.choice(known)
        yield "\n\n".join(_paragraphs(words))


def _paragraphs(words: list[str]) -> Iterator[str]:
    for start in range(0, len(words), 60):
        sentences = (words[at : at + 12] for at in range(start, min(start + 60, len(words)), 12))
        yield " ".join(f"{' '.join(each).capitalize()}." for each in sentences)

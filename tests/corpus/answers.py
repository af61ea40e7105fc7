"""Answers as chat models write them, in twelve languages: what the renderers are tried with.

A file of ``answers/`` is a language. Each answer begins with a line ``<<< NN slug >>>``; what
follows, up to the next such line, is its Markdown, without the line breaks around it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "answers"
HEADER = re.compile(r"^<<< (\d\d) ([a-z0-9]+(?:-[a-z0-9]+)*) >>>\n", re.MULTILINE)


class MalformedCorpus(Exception):
    """What is wrong with a file of answers, in one sentence."""


@dataclass(frozen=True)
class Answer:
    """One answer. ``markdown`` is as the model wrote it; ``number`` counts from 1 in its file."""

    language: str
    number: int
    slug: str
    markdown: str

    def __str__(self) -> str:
        return f"{self.language}-{self.number:02}-{self.slug}"


def answers(folder: Path = FOLDER) -> list[Answer]:
    """Every answer, by language, then number. Raises ``MalformedCorpus``."""
    return [
        answer
        for file in sorted(folder.glob("*.md"))
        for answer in read(file.stem, file.read_text("utf-8"))
    ]


def read(language: str, text: str) -> list[Answer]:
    """The answers of one file, which are numbered without a gap. Raises ``MalformedCorpus``."""
    before, *pieces = HEADER.split(text)
    if before:
        raise MalformedCorpus(f"{language} does not begin with the header of an answer.")
    found = [
        Answer(language, int(number), slug, markdown.strip("\n"))
        for number, slug, markdown in zip(pieces[::3], pieces[1::3], pieces[2::3], strict=True)
    ]
    for expected, answer in enumerate(found, start=1):
        if answer.number != expected:
            raise MalformedCorpus(f"{answer} should be number {expected:02}.")
        if not answer.markdown.strip() or "\n<<< " in f"\n{answer.markdown}":
            raise MalformedCorpus(f"{answer} is empty, or holds a header that cannot be read.")
    return found

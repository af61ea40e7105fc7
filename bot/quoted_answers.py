"""What a personality says that answers with quotations, in its language; pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath

from bot.types import Personality

_TASK = (
    "Answer with the sentences below the question that answer it, word for word, each on a line "
    "that begins with >. If none of them does, say: {}"
)


@dataclass(frozen=True, slots=True)
class _Words:
    refusal: str
    sources: str


_WORDS = {
    "de": _Words("Das habe ich in {} nicht gefunden.", "Quellen"),
    "en": _Words("I did not find this in {}.", "Sources"),
    "es": _Words("No he encontrado esto en {}.", "Fuentes"),
    "fr": _Words("Je n’ai pas trouvé cela dans {}.", "Sources"),
    "it": _Words("Non l’ho trovato in {}.", "Fonti"),
    "nl": _Words("Dit heb ik niet gevonden in {}.", "Bronnen"),
    "pt": _Words("Não encontrei isto em {}.", "Fontes"),
    "zh": _Words("我在 {} 中没有找到这个内容。", "来源"),
}


def refusal_of(personality: Personality) -> str:
    """The one sentence of an answer that quotes nothing; it names the folder of the facts."""
    name = PurePath(personality.facts or "").name or personality.title
    return _words(personality).refusal.format(name)


def sources_line(personality: Personality, named: str) -> str:
    """The last line of an answer that quotes."""
    return f"{_words(personality).sources}: {named}"


def task_of(personality: Personality) -> str:
    """What the model is told below the personality's own prompt; it writes what it must anyway."""
    return _TASK.format(refusal_of(personality))


def _words(personality: Personality) -> _Words:
    return _WORDS.get(personality.language.partition("-")[0].lower(), _WORDS["en"])

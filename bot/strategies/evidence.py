"""How much of a question stands in a passage: whether it can answer it; pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

_WORD = re.compile(r"[^\W_]+")
_JOINED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
"""Scripts whose words stand without white space between them."""

_STEM = 5
_ASKING = frozenset(
    _WORD.findall(
        """
    a about all am an and any are at be been being by can could did do does doing for from get had
    has have he her how i if in into is it its long many may me much must my no not of on or our
    please shall she should tell than that the their them there they this to us was we were what
    when where which who whom whose why will with would you your
    aber als am an auf aus bei bin bis bitte da darf das dass dem den der des die dies diese dieser
    du ein eine einem einen einer es fur gibt hat hast hatte ich ihr im in ist kann kein keine
    konnen lange man mein meine meinen mich mir mit muss nach nicht nur oder ob sein sich sie sind
    so soll uber um und uns unser viel viele vom von vor wann war warum was welche welchem welchen
    welcher welches wem wen wer werden wie wieviel wir wird wo woher wohin zu zum zur
    au aux avec ce ces cet cette combien comment dans de des dois du elle elles en est et etre eux
    faut il ils je la le les leur lui ma mes mon ne nos notre nous on ont ou par pas peut peux
    pour pourquoi puis qu quand que quel quelle quelles quels qui quoi sa se ses son sont sur ta te
    tu un une vos votre vous y
    """
    )
)
"""Words of English, German and French that say nothing of what is asked for."""


def shares_found(question: str, texts: Iterable[str]) -> list[float] | None:
    """Of the words that the question is about, those in each of the texts: 0 to 1.

    Words count by their beginnings. None: the question has no such word.
    """
    asked = {*_stems(question)}
    if not asked:
        return None
    return [len(asked & {*_stems(text)}) / len(asked) for text in texts]


def _stems(text: str) -> Iterator[str]:
    plain = unicodedata.normalize("NFKD", text.casefold())
    for word in _WORD.findall("".join(c for c in plain if not unicodedata.combining(c))):
        if _JOINED.search(word):
            yield from (word[at : at + 2] for at in range(max(1, len(word) - 1)))
        elif word not in _ASKING:
            yield (word[:-1] if len(word) > 3 and word.endswith("s") else word)[:_STEM]

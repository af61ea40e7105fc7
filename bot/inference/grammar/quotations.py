"""Grammars of quotations: what an answer may say is what stands in the passages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from bot.answer_formats import Quoted

_MAX_QUOTATIONS, _MAX_SENTENCES = 3, 2
"""Of an answer; of a quotation."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A sentence that may be quoted. ``goes_on``: another one follows it in its run.

    ``opens`` and ``closes``: what stands around a quotation that begins or ends with it.
    """

    text: str
    opens: str
    closes: str
    goes_on: bool


def lark_of(quoted: Quoted) -> str:
    """llguidance's Lark: one terminal, since a lexer would be lost where sentences begin alike.

    ``FROM_2_7`` is at most two quotations, from the seventh sentence on; ``AFTER_2_7_1`` what
    follows the seventh in the first of them, which may have one more. So no sentence is quoted
    twice.
    """
    places = [*_places(quoted)]
    refusal, first = _literal(quoted.refusal), f"FROM_{_MAX_QUOTATIONS}_0"
    rules = ["start: ANSWER", 'MORE: "\\n\\n"']
    if not places:
        return "\n".join([*rules, f"ANSWER: {refusal}"])
    rules.append(f"ANSWER: {f'(MORE {first})?' if quoted.goes_on else f'{first} | {refusal}'}")
    for at, place in enumerate(places):
        rules.append(f"BEGUN_{at}: {_literal(place.opens + place.text.lstrip())}")
        rules.append(f"SENTENCE_{at}: {_literal(place.text)}")
        for left in range(1, _MAX_QUOTATIONS + 1):
            rules += _rules(place, at, left, is_last=at + 1 == len(places))
    return "\n".join(rules)


def _rules(place: _Place, at: int, left: int, *, is_last: bool) -> Iterator[str]:
    others = "" if is_last else f" | FROM_{left}_{at + 1}"
    yield f"FROM_{left}_{at}: BEGUN_{at} AFTER_{left}_{at}_{_MAX_SENTENCES - 1}{others}"
    more = "" if is_last or left == 1 else f" (MORE FROM_{left - 1}_{at + 1})?"
    for room in range(_MAX_SENTENCES):
        longer = f" | SENTENCE_{at + 1} AFTER_{left}_{at + 1}_{room - 1}"
        longer = longer if room and place.goes_on else ""
        yield f"AFTER_{left}_{at}_{room}: {_literal(place.closes)}{more}{longer}"


def _places(quoted: Quoted) -> Iterator[_Place]:
    for passage in quoted.passages:
        for run in passage.runs:
            for each, following in zip(run, (*run[1:], None), strict=True):
                is_cut = following is not None and following.is_rest
                yield _Place(
                    each.text,
                    "> … “" if each.is_rest else "> “",
                    f"”{' …' * is_cut} [{passage.number}]",
                    following is not None,
                )


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)

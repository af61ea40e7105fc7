"""Whether an answer is as a check wants it. Pure; a judge is asked elsewhere."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.exceptions import Unresolvable

from bot.evaluation.cases import AnswerCheck, CheckKind

_MAX_SHOWN = 60
_NOTHING_ELSEWHERE: Registry[Any] = Registry()
"""No schema is fetched from anywhere."""

_QUOTATION = re.compile(
    r"“([^“”]+)”|„([^„“”]+)[“”]|«([^«»]+)»|»([^«»]+)«|\"([^\"\n]+)\"|「([^「」]+)」|『([^『』]+)』"
)
_BLOCK = re.compile(r"(?:^[ \t]{0,3}>.*(?:\n|\Z))+", re.MULTILINE)
_MARK = re.compile(r"^[ \t]{0,3}>[ \t]?", re.MULTILINE)
_ENDS = re.compile(r"\A(?:\s|…)+|(?:\s|…|\[\d+\])+\Z")
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
_AROUND = re.compile(r"[“„«»\"「『](.*)[”“»«\"」』]", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer. ``seconds``: from asking to its end."""

    text: str
    num_tokens: int = 0
    seconds: float = 0.0
    model: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """``reason``: why it did not pass, or what was measured."""

    passed: bool
    reason: str = ""


def verdict(check: AnswerCheck, answer: Answered) -> Verdict:
    """Of every kind but ``judge``."""
    return _VERDICTS[check.kind](check.expected, answer)


def quotations(text: str) -> list[str]:
    """What stands in quotation marks of any language, or in lines that begin with ``>``."""
    blocks = _BLOCK.findall(text)
    inline = _QUOTATION.findall(_BLOCK.sub("\n", text))
    found = [_said_in(block) for block in blocks]
    found += [next(filter(None, groups)) for groups in inline]
    return [each.strip() for each in found if each.strip()]


def _said_in(block: str) -> str:
    """Without what a quoted answer puts around it: ``> … “so” … [2]`` says so."""
    text = _ENDS.sub("", _MARK.sub("", block))
    around = _AROUND.fullmatch(text)
    return around[1] if around else text


def _contains(expected: tuple[str, ...], answer: Answered) -> Verdict:
    text = _bare(answer.text)
    missing = [each for each in expected if _bare(each) not in text]
    return Verdict(not missing, f"lacks {_shown(missing[0])}" if missing else "")


def _not_contains(expected: tuple[str, ...], answer: Answered) -> Verdict:
    text = _bare(answer.text)
    there = [each for each in expected if _bare(each) in text]
    return Verdict(not there, f"has {_shown(there[0])}" if there else "")


def _regex(expected: tuple[str, ...], answer: Answered) -> Verdict:
    passed = re.search(expected[0], answer.text) is not None
    return Verdict(passed, "" if passed else f"nothing matches {_shown(expected[0])}")


def _equals(expected: tuple[str, ...], answer: Answered) -> Verdict:
    passed = _bare(answer.text) in {_bare(each) for each in expected}
    return Verdict(passed, "" if passed else f"is {_shown(answer.text)}")


def _not_equals(expected: tuple[str, ...], answer: Answered) -> Verdict:
    passed = not _equals(expected, answer).passed
    return Verdict(passed, "" if passed else "is the same answer again")


def _is_json(_: tuple[str, ...], answer: Answered) -> Verdict:
    try:
        json.loads(answer.text)
    except (ValueError, RecursionError) as error:
        return Verdict(False, f"is no JSON: {error}")
    return Verdict(True)


def _schema(expected: tuple[str, ...], answer: Answered) -> Verdict:
    if not (is_json := _is_json((), answer)).passed:
        return is_json
    validator = Draft202012Validator(json.loads(expected[0]), registry=_NOTHING_ELSEWHERE)
    try:
        error = min(validator.iter_errors(json.loads(answer.text)), key=str, default=None)
    except Unresolvable as missing:
        return Verdict(False, f"the schema refers to {_shown(missing.ref)}, which is not in it")
    if error is None:
        return Verdict(True)
    place = "".join(f".{part}" for part in error.absolute_path) or " as a whole"
    return Verdict(False, f"the JSON{place}: {_shown(error.message, quoted=False)}")


def _quoted(expected: tuple[str, ...], answer: Answered) -> Verdict:
    """Runs of white space are one space, since a quotation may be wrapped."""
    sources = [_one_spaced(each) for each in expected]
    found = quotations(answer.text)
    foreign = [each for each in found if not any(_is_in(each, source) for source in sources)]
    if foreign:
        return Verdict(False, f"quotes {_shown(foreign[0])}, which no source says")
    return Verdict(True, f"{len(found)} quotations" if found else "no quotation")


def _is_in(quotation: str, source: str) -> bool:
    """As it is written, or as Markdown shows it."""
    return any(_one_spaced(each) in source for each in (quotation, _ESCAPE.sub(r"\1", quotation)))


def _max_tokens(expected: tuple[str, ...], answer: Answered) -> Verdict:
    return Verdict(answer.num_tokens <= int(expected[0]), f"{answer.num_tokens:,} tokens")


def _max_seconds(expected: tuple[str, ...], answer: Answered) -> Verdict:
    return Verdict(answer.seconds <= float(expected[0]), f"{answer.seconds:.1f} s")


_VERDICTS: Mapping[CheckKind, Callable[[tuple[str, ...], Answered], Verdict]] = {
    "contains": _contains,
    "not-contains": _not_contains,
    "regex": _regex,
    "is-json": _is_json,
    "schema": _schema,
    "equals": _equals,
    "not-equals": _not_equals,
    "one-of": _equals,
    "quoted": _quoted,
    "max-tokens": _max_tokens,
    "max-seconds": _max_seconds,
}


def _bare(text: str) -> str:
    """Letter case, white space at the ends and how accents are composed make no difference."""
    return unicodedata.normalize("NFC", text).casefold().strip()


def _one_spaced(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def _shown(text: Any, *, quoted: bool = True) -> str:
    line = " ".join(str(text).split())
    short = line if len(line) <= _MAX_SHOWN else f"{line[:_MAX_SHOWN]}…"
    return f"“{short}”" if quoted else short

"""What answers pass which checks."""

from __future__ import annotations

import json

import pytest

from bot.evaluation.cases import AnswerCheck, CheckKind
from bot.evaluation.checks import Answered, quotations, verdict

SCHEMA = json.dumps({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]})
SOURCE = "The pool opens at nine.\nOn Mondays it stays  closed, except in July."


def found(kind: CheckKind, text: str, *expected: str) -> tuple[bool, str]:
    answered = Answered(text, num_tokens=12, seconds=2.5)
    verdict_ = verdict(AnswerCheck(kind, expected), answered)
    return verdict_.passed, verdict_.reason


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("contains", "It is PARIS.", ("paris",)),
        ("contains", "Straße, caf\u0065\u0301", ("STRASSE", "café")),
        ("not-contains", "It is Paris.", ("London",)),
        ("regex", "x = 5", (r"x\s*=\s*5",)),
        ("is-json", ' {"a": [1]}\n', ()),
        ("schema", '{"n": 3}', (SCHEMA,)),
        ("equals", " Paris\n", ("paris",)),
        ("not-equals", "Lyon", ("Paris",)),
        ("one-of", "No", ("yes", "no")),
        ("max-tokens", "…", ("12",)),
        ("max-seconds", "…", ("2.5",)),
        ("quoted", "It says “The pool opens at\nnine.”", (SOURCE,)),
        ("quoted", "I did not find this.", (SOURCE,)),
    ],
)
def test_it_passes(kind: CheckKind, text: str, expected: tuple[str, ...]) -> None:
    assert found(kind, text, *expected)[0]


@pytest.mark.parametrize(
    ("kind", "text", "expected", "reason"),
    [
        ("contains", "It is Paris.", ("Paris", "Seine"), "lacks “Seine”"),
        ("not-contains", "It is London.", ("Rome", "london"), "has “london”"),
        ("regex", "x = 6", (r"x\s*=\s*5",), r"nothing matches “x\s*=\s*5”"),
        (
            "is-json",
            "```json\n{}\n```",
            (),
            "is no JSON: Expecting value: line 1 column 1 (char 0)",
        ),
        ("is-json", "[" * 100_000, (), "is no JSON: "),
        ("schema", '{"n": "3"}', (SCHEMA,), "the JSON.n: '3' is not of type 'integer'"),
        ("schema", "[]", (SCHEMA,), "the JSON as a whole: [] is not of type 'object'"),
        ("schema", "yes", (SCHEMA,), "is no JSON: "),
        ("schema", "1", ('{"$ref": "http://127.0.0.1:9/s"}',), "the schema refers to “http://12"),
        ("equals", "Paris, I think", ("Paris",), "is “Paris, I think”"),
        ("not-equals", "PARIS ", ("Paris",), "is the same answer again"),
        ("one-of", "perhaps", ("yes", "no"), "is “perhaps”"),
        ("max-tokens", "…", ("11",), "12 tokens"),
        ("max-seconds", "…", ("2.4",), "2.5 s"),
        ("quoted", "«The pool opens at ten.»", (SOURCE,), "quotes “The pool opens at ten.”, which"),
        (
            "quoted",
            "> The pool\n> opens never.",
            (SOURCE,),
            "quotes “The pool opens never.”, which",
        ),
    ],
)
def test_it_does_not_and_says_why(
    kind: CheckKind, text: str, expected: tuple[str, ...], reason: str
) -> None:
    passed, why = found(kind, text, *expected)
    assert not passed
    assert why.startswith(reason)


@pytest.mark.parametrize(
    "text",
    [
        *("“a b”", "„a b“", "„a b”", "«a b»", "« a b »", "»a b«", '"a b"', "「a b」"),
        *("> a\n> b", "> “a b” [1]", "> … “a b” … [12]", "> « a b »"),
    ],
)
def test_a_quotation_is_seen_in_every_form(text: str) -> None:
    (quotation,) = quotations(f"He said:\n\n{text}\n\nand left.")
    assert quotation.split() == ["a", "b"]


def test_a_quotation_may_be_written_as_markdown_shows_it() -> None:
    assert found("quoted", r"> “It is 2\*3 \_now\_.” [1]", "It is 2*3 _now_.")[0]
    assert found("quoted", r"“C:\*.txt”", r"All of C:\*.txt")[0]


def test_a_quotation_in_a_line_of_its_own_may_have_quotation_marks_in_it() -> None:
    answer = "> “He said “no” and left.” [1]\n\n> … “so did I.” [2]\n\nSources: [1] a, [2] b"
    assert quotations(answer) == ["He said “no” and left.", "so did I."]


def test_what_is_in_no_quotation_marks_is_no_quotation() -> None:
    assert quotations("It's Ada's. 5 > 3, and ‘so’ on.") == []

"""A report as it is kept, and beside a later one."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.errors import StartError
from bot.evaluation.cases import Variant
from bot.evaluation.comparison import PassShare, compared, have_some_in_common
from bot.evaluation.report import CheckResult, EvalReport, RunResult, as_json, read_report
from tests.bot.evaluation.test_reading import ONE, read

ASSISTANT, CODER = Variant(personality="assistant"), Variant(personality="coder")


def run(case: str, passed: bool, variant: Variant = ASSISTANT, number: int = 1) -> RunResult:
    check = CheckResult(1, "contains", passed, False, "" if passed else "lacks “x”")
    return RunResult(
        case=case,
        fingerprint=f"of {case}",
        variant=variant,
        number=number,
        answers=("ä",),
        models=("m",),
        num_tokens=10,
        seconds=2.0,
        checks=(check,),
    )


def report(*runs: RunResult) -> EvalReport:
    return EvalReport(
        title="T",
        at=datetime(2026, 11, 28, tzinfo=UTC),
        version="0.1.0",
        machine="2 cores",
        repeat=1,
        temperature=0.0,
        seed=None,
        judge="",
        is_whole=True,
        runs=runs,
    )


def ten(num_passed: int, variant: Variant = ASSISTANT) -> list[RunResult]:
    return [run(f"c{n}", n < num_passed, variant) for n in range(10)]


def test_a_report_is_read_as_it_was_kept_and_begins_with_its_sums(tmp_path: Path) -> None:
    whole = report(*ten(7), replace(run("d", False, CODER), error="It broke.", checks=()))
    (tmp_path / "r.json").write_text(as_json(whole))
    assert read_report(tmp_path / "r.json") == whole
    summaries = json.loads(as_json(whole))["summaries"]
    assert [(s["personality"], s["runs"], s["rate"], s["errors"]) for s in summaries] == [
        ("assistant", 10, 70.0, 0),
        ("coder", 1, 0.0, 1),
    ]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("My diary", "is no report of this version; --output writes one."),
        ("[" * 100_000, "is no report of this version; --output writes one."),
        ("[]", "is no report of this version; --output writes one."),
        ('{"form": "parley-eval-1"}', "is no whole report: title is wrong."),
    ],
)
def test_another_file_is_no_report(tmp_path: Path, content: str, sentence: str) -> None:
    (tmp_path / "r.json").write_text(content)
    with pytest.raises(StartError) as caught:
        read_report(tmp_path / "r.json")
    assert str(caught.value) == f"{tmp_path / 'r.json'} {sentence}"


@pytest.mark.parametrize(
    ("before", "after", "bound", "is_worse"),
    [
        (8, 7, 5.0, True),
        (8, 7, 10.0, False),
        (8, 7, 9.9, True),
        (8, 8, 0.0, False),
        (7, 8, 0.0, False),
        (8, 7, 0.0, True),
    ],
)
def test_it_is_worse_where_more_points_are_lost_than_the_bound(
    before: int, after: int, bound: float, is_worse: bool
) -> None:
    comparison = compared(report(*ten(before)), report(*ten(after)))
    assert bool(comparison.worse(bound)) is is_worse


def test_one_personality_that_becomes_worse_is_not_outweighed_by_another() -> None:
    before = report(*ten(5), *ten(8, CODER))
    comparison = compared(before, report(*ten(10), *ten(6, CODER)))
    assert [each.variant for each in comparison.worse(5)] == [CODER]


def test_cases_that_changed_are_named_the_worst_first() -> None:
    before = report(run("a", True), run("b", False), run("c", True), run("c", True, number=2))
    after = report(run("a", False), run("b", True), run("c", True), run("c", False, number=2))
    cases = compared(before, after).cases
    assert [(each.case, str(each.before), str(each.after), each.is_worse) for each in cases] == [
        ("a", "1/1", "0/1", True),
        ("c", "2/2", "1/2", True),
        ("b", "0/1", "1/1", False),
    ]


def test_only_what_both_asked_in_the_same_way_is_compared() -> None:
    changed = replace(run("c9", False), fingerprint="of another")
    after = report(*ten(9)[:9], changed, run("new", False))
    comparison = compared(report(*ten(10)), after)
    assert comparison.worse(0) == []
    assert (comparison.num_new, comparison.num_gone) == (2, 1)
    assert comparison.variants[0].num_cases == 9


def test_a_report_of_other_questions_has_nothing_in_common(tmp_path: Path) -> None:
    asked = read(tmp_path, ONE)
    pairs = asked.asked("assistant")
    same = replace(run("a", True), fingerprint=asked.cases[0].fingerprint)
    assert have_some_in_common(report(same), pairs)
    assert not have_some_in_common(report(replace(same, variant=CODER)), pairs)
    assert PassShare(1, 4).rate == 25

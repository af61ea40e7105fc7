"""A report beside an earlier one: what became worse, and where. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from bot.evaluation.cases import EvalCase, Variant
from bot.evaluation.report import EvalReport, RunResult

Asked = tuple[Variant, str, str]
"""A case of a variant, with the fingerprint of what is asked and checked there."""


@dataclass(frozen=True, slots=True)
class PassShare:
    """Runs that passed, of all runs."""

    num_passed: int
    num_runs: int

    @property
    def rate(self) -> float:
        """In percent."""
        return 100 * self.num_passed / self.num_runs

    def __str__(self) -> str:
        return f"{self.num_passed}/{self.num_runs}"


@dataclass(frozen=True, slots=True)
class ChangedCase:
    variant: Variant
    case: str
    before: PassShare
    after: PassShare

    @property
    def is_worse(self) -> bool:
        return self.after.rate < self.before.rate


@dataclass(frozen=True, slots=True)
class ChangedVariant:
    """The mean rate of its cases that both reports have, in percent."""

    variant: Variant
    num_cases: int
    before: float
    after: float

    @property
    def points(self) -> float:
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class Comparison:
    """``num_new`` and ``num_gone``: cases that only one report has, or that ask something else."""

    variants: tuple[ChangedVariant, ...]
    cases: tuple[ChangedCase, ...]
    num_new: int
    num_gone: int

    def worse(self, bound: float) -> list[ChangedVariant]:
        """The variants that lost more than ``bound`` points."""
        return [each for each in self.variants if each.points < -bound - 1e-9]


def compared(before: EvalReport, after: EvalReport) -> Comparison:
    """Cases weigh the same, however often they were asked."""
    old, new = _shares(before.runs), _shares(after.runs)
    both = [asked for asked in new if asked in old]
    cases = [
        ChangedCase(variant, case, old[asked], new[asked])
        for asked in both
        for variant, case, _ in [asked]
        if old[asked].rate != new[asked].rate
    ]
    cases.sort(key=lambda each: each.after.rate - each.before.rate)
    variants: defaultdict[Variant, list[Asked]] = defaultdict(list)
    for asked in both:
        variants[asked[0]].append(asked)
    return Comparison(
        variants=tuple(
            ChangedVariant(
                variant,
                len(found),
                sum(old[each].rate for each in found) / len(found),
                sum(new[each].rate for each in found) / len(found),
            )
            for variant, found in variants.items()
        ),
        cases=tuple(cases),
        num_new=len(new) - len(both),
        num_gone=len(old) - len(both),
    )


def have_some_in_common(before: EvalReport, asked: Iterable[tuple[Variant, EvalCase]]) -> bool:
    known = _shares(before.runs)
    return any((variant, case.name, case.fingerprint) in known for variant, case in asked)


def _shares(runs: Iterable[RunResult]) -> dict[Asked, PassShare]:
    groups: defaultdict[Asked, list[bool]] = defaultdict(list)
    for run in runs:
        groups[run.variant, run.case, run.fingerprint].append(run.passed)
    return {asked: PassShare(sum(passed), len(passed)) for asked, passed in groups.items()}

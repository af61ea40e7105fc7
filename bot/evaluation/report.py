"""What came of it: values, and their form in JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from statistics import mean

from pydantic import TypeAdapter, ValidationError

from bot.errors import StartError
from bot.evaluation.cases import CheckKind, Variant

FORM = "parley-eval-1"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """``turn`` counts from 1. A limit says in ``passed`` whether it was kept."""

    turn: int
    kind: CheckKind
    passed: bool
    is_limit: bool
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """One time that a case was asked, ``number`` from 1.

    ``error``: why it has no answer; it has not passed then.
    """

    case: str
    fingerprint: str
    variant: Variant
    number: int
    answers: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    num_tokens: int = 0
    seconds: float = 0.0
    checks: tuple[CheckResult, ...] = ()
    error: str = ""

    @property
    def passed(self) -> bool:
        return not self.error and all(c.passed for c in self.checks if not c.is_limit)

    @property
    def num_over(self) -> int:
        """Limits that were not kept."""
        return sum(check.is_limit and not check.passed for check in self.checks)


@dataclass(frozen=True, slots=True)
class VariantSummary:
    """``seconds`` and ``tokens``: the mean of a run that was answered."""

    variant: Variant
    num_runs: int
    num_passed: int
    num_errors: int
    num_over: int
    tokens: float
    seconds: float
    models: tuple[str, ...]

    @property
    def rate(self) -> float:
        """Of runs that passed, in percent."""
        return 100 * self.num_passed / self.num_runs


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalReport:
    """``is_whole``: nothing was stopped before its end."""

    title: str
    at: datetime
    version: str
    machine: str
    repeat: int
    temperature: float | None
    seed: int | None
    judge: str
    is_whole: bool
    runs: tuple[RunResult, ...]

    def summaries(self) -> list[VariantSummary]:
        """In the order in which the variants were asked."""
        groups: dict[Variant, list[RunResult]] = {}
        for run in self.runs:
            groups.setdefault(run.variant, []).append(run)
        return [_summary(variant, runs) for variant, runs in groups.items()]


def _summary(variant: Variant, runs: Sequence[RunResult]) -> VariantSummary:
    answered = [run for run in runs if not run.error]
    return VariantSummary(
        variant,
        num_runs=len(runs),
        num_passed=sum(run.passed for run in runs),
        num_errors=len(runs) - len(answered),
        num_over=sum(run.num_over for run in runs),
        tokens=_mean(run.num_tokens for run in answered),
        seconds=_mean(run.seconds for run in answered),
        models=tuple(sorted({model for run in answered for model in run.models if model})),
    )


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return mean(found) if found else 0.0


_REPORT: TypeAdapter[EvalReport] = TypeAdapter(EvalReport)


def as_json(report: EvalReport) -> str:
    """Summaries stand first, for whoever looks into the file."""
    summaries = [
        {
            **asdict(each.variant),
            "models": each.models,
            "runs": each.num_runs,
            "passed": each.num_passed,
            "rate": round(each.rate, 1),
            "errors": each.num_errors,
            "over_limits": each.num_over,
            "tokens": round(each.tokens, 1),
            "seconds": round(each.seconds, 2),
        }
        for each in report.summaries()
    ]
    record = _REPORT.dump_python(report, mode="json")
    whole = {"form": FORM, "summaries": summaries, **record}
    return f"{json.dumps(whole, ensure_ascii=False, indent=1)}\n"


def read_report(path: Path) -> EvalReport:
    """Raises ``StartError`` for a file that holds none. Blocks."""
    try:
        record: object = json.loads(path.read_bytes())
    except OSError as error:
        raise StartError(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, Mapping) or record.get("form") != FORM:
        raise StartError(f"{path} is no report of this version; --output writes one.")
    try:
        return _REPORT.validate_python({k: v for k, v in record.items() if k in _FIELDS})
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"]))
        raise StartError(f"{path} is no whole report: {place} is wrong.") from None


_FIELDS: frozenset[str] = frozenset(EvalReport.__dataclass_fields__)

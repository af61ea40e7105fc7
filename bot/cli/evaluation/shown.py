"""Reports and comparisons as people read them."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bot.evaluation.comparison import Comparison
from bot.evaluation.report import CheckResult, EvalReport, RunResult, VariantSummary

MAX_LINES = 20
"""Of cases that did not pass, or changed."""


def show_report(report: EvalReport, console: Console) -> None:
    console.print(_table(report.title, report.summaries()))
    failed = [run for run in report.runs if not run.passed]
    lines = [_failure(run, report.repeat) for run in failed]
    _print_some(console, "Not passed:", lines, "--output keeps them all.")
    if not report.is_whole:
        console.print("Stopped: the table has what was asked until then.", markup=False)


def _table(title: str, summaries: Sequence[VariantSummary]) -> Table:
    table = Table(title=Text(title), box=box.SIMPLE_HEAD, title_justify="left")
    has_hosts = any(each.variant.engine for each in summaries)
    has_errors = any(each.num_errors for each in summaries)
    has_limits = any(each.num_over for each in summaries)
    table.add_column("personality")
    table.add_column("model")
    if has_hosts:
        table.add_column("server")
    for name in ("passed", "%", "tokens", "seconds"):
        table.add_column(name, justify="right")
    if has_limits:
        table.add_column("over limits", justify="right")
    if has_errors:
        table.add_column("errors", justify="right")
    for each in summaries:
        row = [each.variant.personality, each.variant.model or ", ".join(each.models)]
        row += [each.variant.engine] * has_hosts
        row += [f"{each.num_passed}/{each.num_runs}", f"{each.rate:.0f}"]
        row += [f"{each.tokens:,.0f}", f"{each.seconds:,.1f}"]
        row += [f"{each.num_over}"] * has_limits + [f"{each.num_errors}"] * has_errors
        table.add_row(*map(Text, row))
    return table


def _failure(run: RunResult, repeat: int) -> str:
    time = f" ({run.number} of {repeat})" if repeat > 1 else ""
    why = run.error or "; ".join(
        _reason(check) for check in run.checks if not (check.passed or check.is_limit)
    )
    return f"{run.variant}: {run.case}{time}: {why}"


def _reason(check: CheckResult) -> str:
    turn = f"turn {check.turn}, " if check.turn > 1 else ""
    return f"{turn}{check.kind}: {check.reason}" if check.reason else f"{turn}{check.kind}"


def show_comparison(comparison: Comparison, name: str, bound: float, console: Console) -> None:
    worse = comparison.worse(bound)
    lines = []
    for each in comparison.variants:
        said = f", worse by more than {bound:g} points" if each in worse else ""
        change = f"{each.before:.0f} % -> {each.after:.0f} % of {each.num_cases} cases"
        lines.append(f"{each.variant}: {change}{said}")
    _print_some(console, f"Compared with {name}:", lines, "")
    lines = [
        f"{each.variant}: {each.case}: {each.before} -> {each.after}, "
        f"{'worse' if each.is_worse else 'better'}"
        for each in comparison.cases
    ]
    _print_some(console, "Cases that changed:", lines, "")
    if comparison.num_new or comparison.num_gone:
        told = (
            f"Not compared: {comparison.num_new:,} new cases and {comparison.num_gone:,} old ones"
        )
        console.print(f"{told} that the other report lacks, or has otherwise.", markup=False)


def _print_some(console: Console, head: str, lines: Sequence[str], more: str) -> None:
    if not lines:
        return
    console.print(head, markup=False)
    for line in lines[:MAX_LINES]:
        console.print(Text(f"  {' '.join(line.split())}"), soft_wrap=True)
    if (num := len(lines) - MAX_LINES) > 0:
        console.print(f"  and {num:,} more. {more}".rstrip(), markup=False)

"""``usage``: who asked when, how long it took, and what people thought of it."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any, Literal

from bot.errors import RequestError
from bot.types import AnswerUsage, TurnState

Grouping = Literal["person", "personality", "model", "platform"]
Cells = Sequence[str]

MAX_LINES = 50
"""Answers that the table of single ones shows."""

_AGO = re.compile(r"(\d{1,6})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_NONE = "-"


def moment(text: str, now: datetime) -> datetime:
    """``24h`` ago, or a day or time such as ``2026-11-01``, in UTC if it says no other zone."""
    if ago := _AGO.fullmatch(text.strip()):
        try:
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        except OverflowError:
            return datetime.min.replace(tzinfo=UTC)
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise RequestError(
            f"--since is {text!r}; write how long ago, as in 24h or 7d, or a day, as in 2026-11-01."
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def as_json(rows: Iterable[AnswerUsage], by: Grouping | None) -> str:
    """A list of every answer, or of every group."""
    found = [_record(row) for row in rows] if by is None else _summaries(rows, by)
    return json.dumps(found, indent=2)


def as_table(rows: Sequence[AnswerUsage], by: Grouping | None) -> list[str]:
    if not rows:
        return ["Nobody was answered in this time."]
    return _groups(rows, by) if by else _answers(rows)


def _answers(rows: Sequence[AnswerUsage]) -> list[str]:
    head = (
        *("asked at (UTC)", "person", "platform", "personality", "model", "end"),
        *("queued", "first token", "in all", "prompt", "cached", "written", "vote"),
    )
    lines = _aligned([head, *map(_line, rows[-MAX_LINES:])], num_texts=6)
    num_left = len(rows) - MAX_LINES
    if num_left > 0:
        lines.append(f"{num_left:,} earlier answers are left out; --json has them all.")
    return lines


def _line(row: AnswerUsage) -> Cells:
    seconds = (row.queue_seconds, row.first_token_seconds, row.total_seconds)
    tokens = (row.usage.prompt_tokens, row.usage.cached_tokens, row.usage.completion_tokens)
    return (
        row.asked_at.strftime("%Y-%m-%d %H:%M:%S"),
        *(name or _NONE for name in (row.person, row.platform, row.personality, row.model)),
        str(row.finish_reason or row.state),
        *map(_seconds, seconds),
        *map(_number, tokens),
        {1: "+1", -1: "-1"}.get(row.rating, ""),
    )


def _groups(rows: Sequence[AnswerUsage], by: Grouping) -> list[str]:
    head = (
        *(by, "answers", "people", "stopped", "failed", "first token", "in all"),
        *("prompt", "cached", "written", "likes", "dislikes"),
    )
    summaries = _summaries(rows, by)
    if len(summaries) > 1:
        summaries.append({by: "all", **_summary(rows)})
    return _aligned([head, *(_summary_line(each, by) for each in summaries)], num_texts=1)


def _summary_line(summary: Mapping[str, Any], by: Grouping) -> Cells:
    counts = ("answers", "people", "stopped", "failed")
    medians = ("first_token_seconds", "total_seconds")
    sums = ("prompt_tokens", "cached_tokens", "completion_tokens", "likes", "dislikes")
    return (
        summary[by] or _NONE,
        *(_number(summary[name]) for name in counts),
        *(_seconds(summary[name]) for name in medians),
        *(_number(summary[name]) for name in sums),
    )


def _summaries(rows: Iterable[AnswerUsage], by: Grouping) -> list[dict[str, Any]]:
    """Those with the most answers first."""
    groups: defaultdict[str, list[AnswerUsage]] = defaultdict(list)
    for row in rows:
        groups[getattr(row, by)].append(row)
    by_size = sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))
    return [{by: name, **_summary(group)} for name, group in by_size]


def _summary(rows: Sequence[AnswerUsage]) -> dict[str, Any]:
    """Of the seconds the median, of what has them."""
    states = [row.state for row in rows]
    return {
        "answers": len(rows),
        "people": len({row.person for row in rows}),
        "stopped": states.count(TurnState.STOPPED),
        "failed": states.count(TurnState.FAILED) + states.count(TurnState.INTERRUPTED),
        "queue_seconds": _median(row.queue_seconds for row in rows),
        "first_token_seconds": _median(row.first_token_seconds for row in rows),
        "total_seconds": _median(row.total_seconds for row in rows),
        "prompt_tokens": sum(row.usage.prompt_tokens for row in rows),
        "cached_tokens": sum(row.usage.cached_tokens for row in rows),
        "completion_tokens": sum(row.usage.completion_tokens for row in rows),
        "likes": sum(row.rating > 0 for row in rows),
        "dislikes": sum(row.rating < 0 for row in rows),
        "last_asked_at": max(row.asked_at for row in rows).isoformat(),
    }


def _record(row: AnswerUsage) -> dict[str, Any]:
    record = asdict(row)
    usage = record.pop("usage")
    tokens = {name: usage[name] for name in ("prompt_tokens", "cached_tokens", "completion_tokens")}
    return {**record, "asked_at": row.asked_at.isoformat(), **tokens}


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _seconds(value: float | None) -> str:
    return _NONE if value is None else f"{value:,.2f}"


def _number(value: int) -> str:
    return f"{value:,}"


def _aligned(table: Sequence[Cells], num_texts: int) -> list[str]:
    """The first ``num_texts`` columns to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    align: list[Callable[[str, int], str]] = [str.ljust] * num_texts
    align += [str.rjust] * (len(widths) - num_texts)
    return [
        "  ".join(put(cell, width) for put, cell, width in zip(align, row, widths, strict=True))
        for row in table
    ]

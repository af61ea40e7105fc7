"""``usage``: who asked when, how long it took, and what people thought of it."""

from __future__ import annotations

import json
import re
from array import array
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any, Literal

from bot.cli.tables import Cells, aligned
from bot.errors import StartError
from bot.stored import AnswerUsage, TurnState

Grouping = Literal["person", "personality", "model", "platform"]

MAX_LINES = 50
"""Answers that the table of single ones shows."""

_AGO = re.compile(r"(\d{1,6})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_NONE = "-"
_SECONDS = ("queue_seconds", "first_token_seconds", "total_seconds")
_TOKENS = ("prompt_tokens", "cached_tokens", "completion_tokens")
_EVER = datetime.min.replace(tzinfo=UTC)


def moment(text: str, now: datetime) -> datetime:
    """``24h`` ago, or a day or time such as ``2026-11-01``, in UTC if it says no other zone."""
    if ago := _AGO.fullmatch(text.strip()):
        try:
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        except OverflowError:
            return _EVER
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise StartError(
            f"--since is {text!r}; write how long ago, as in 24h or 7d, or a day, as in 2026-11-01."
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def as_json(rows: Iterable[AnswerUsage], by: Grouping | None) -> Iterator[str]:
    """The lines of a list of every answer, or of every group."""
    records = map(_record, rows) if by is None else iter(_counted(rows, by))
    before = "["
    for record in records:
        yield before + json.dumps(record)
        before = ","
    yield "]" if before == "," else "[]"


def as_table(rows: Iterable[AnswerUsage], by: Grouping | None) -> list[str]:
    lines = _groups(rows, by) if by else _answers(rows)
    return lines if len(lines) > 1 else ["Nobody was answered in this time."]


def _answers(rows: Iterable[AnswerUsage]) -> list[str]:
    newest, num_rows = deque[AnswerUsage](maxlen=MAX_LINES), 0
    for row in rows:
        newest.append(row)
        num_rows += 1
    head = (
        *("asked at (UTC)", "person", "platform", "personality", "model", "end"),
        *("queued", "first token", "in all", "prompt", "cached", "written", "vote"),
    )
    lines = aligned([head, *map(_line, newest)], num_texts=6)
    if num_rows > MAX_LINES:
        num_left = num_rows - MAX_LINES
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


def _groups(rows: Iterable[AnswerUsage], by: Grouping) -> list[str]:
    head = (
        *(by, "answers", "people", "stopped", "failed", "first token", "in all"),
        *("prompt", "cached", "written", "likes", "dislikes"),
    )
    total = _Summary()
    summaries = _counted(map(total.add, rows), by)
    if len(summaries) > 1:
        summaries.append({by: "all", **total.record()})
    return aligned([head, *(_summary_line(each, by) for each in summaries)], num_texts=1)


def _summary_line(summary: Mapping[str, Any], by: Grouping) -> Cells:
    counts = ("answers", "people", "stopped", "failed")
    medians = ("first_token_seconds", "total_seconds")
    sums = (*_TOKENS, "likes", "dislikes")
    return (
        summary[by] or _NONE,
        *(_number(summary[name]) for name in counts),
        *(_seconds(summary[name]) for name in medians),
        *(_number(summary[name]) for name in sums),
    )


@dataclass(slots=True)
class _Summary:
    """What is counted of a group's answers."""

    answers: int = 0
    people: set[str] = field(default_factory=set)
    stopped: int = 0
    failed: int = 0
    seconds: dict[str, array[float]] = field(
        default_factory=lambda: {name: array("d") for name in _SECONDS}
    )
    tokens: Counter[str] = field(default_factory=Counter)
    likes: int = 0
    dislikes: int = 0
    last_asked_at: datetime = _EVER

    def add(self, row: AnswerUsage) -> AnswerUsage:
        self.answers += 1
        self.people.add(row.person)
        self.stopped += row.state is TurnState.STOPPED
        self.failed += row.state in (TurnState.FAILED, TurnState.INTERRUPTED)
        for name, values in self.seconds.items():
            if (value := getattr(row, name)) is not None:
                values.append(value)
        self.tokens.update({name: getattr(row.usage, name) for name in _TOKENS})
        self.likes += row.rating > 0
        self.dislikes += row.rating < 0
        self.last_asked_at = max(self.last_asked_at, row.asked_at)
        return row

    def record(self) -> dict[str, Any]:
        """Of the seconds the median, of what has them."""
        medians = {n: median(values) if values else None for n, values in self.seconds.items()}
        return {
            "answers": self.answers,
            "people": len(self.people),
            "stopped": self.stopped,
            "failed": self.failed,
            **medians,
            **{name: self.tokens[name] for name in _TOKENS},
            "likes": self.likes,
            "dislikes": self.dislikes,
            "last_asked_at": self.last_asked_at.isoformat(),
        }


def _counted(rows: Iterable[AnswerUsage], by: Grouping) -> list[dict[str, Any]]:
    """Those with the most answers first."""
    groups: defaultdict[str, _Summary] = defaultdict(_Summary)
    for row in rows:
        groups[getattr(row, by)].add(row)
    by_size = sorted(groups.items(), key=lambda group: (-group[1].answers, group[0]))
    return [{by: name, **group.record()} for name, group in by_size]


def _record(row: AnswerUsage) -> dict[str, Any]:
    record = asdict(row)
    usage = record.pop("usage")
    tokens = {name: usage[name] for name in _TOKENS}
    return {**record, "asked_at": row.asked_at.isoformat(), **tokens}


def _seconds(value: float | None) -> str:
    return _NONE if value is None else f"{value:,.2f}"


def _number(value: int) -> str:
    return f"{value:,}"

"""The admin's view as a page: it needs no script, which only keeps it up to date."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape

from bot.overview import FileFault, Overview, PersonUsage, TurnCount, UsageSummary
from bot.stored import TurnState
from bot.types import AdapterState

MAX_PEOPLE = 50
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover">
<meta name="color-scheme" content="light dark">
<title>{title} · Parley</title>
<link rel="stylesheet" href="/page/page.css">
<link rel="stylesheet" href="/page/admin.css">
{script}
</head>
<body class="admin">
<main>
<header><h1>{title}</h1><a href="/">Chats</a></header>
{content}
</main>
</body>
</html>
"""
_SCRIPT = '<script src="/page/admin.js" defer></script>'
_GOOD = {"up": "good", "starting": "", "loading": "", "opening": "", "off": ""}
_BROWSER = re.compile(r"(web:local/[0-9a-f]{8})[0-9a-f]{24}")
_ENDS = (TurnState.DONE, TurnState.STOPPED, TurnState.FAILED, TurnState.INTERRUPTED)
_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def overview_page(overview: Overview) -> str:
    parts = (
        _now(overview),
        _model(overview),
        _platforms(overview.adapters),
        _personalities(overview),
        _turns(overview),
        _people("People of the last day", overview.day),
        _people("People of the last seven days", overview.week),
    )
    return _PAGE.format(title="Overview", script=_SCRIPT, content="\n".join(parts))


def refusal_page(sentence: str) -> str:
    content = f'<p>{escape(sentence)}</p><p><a href="/">Go to the chats</a>, or sign in there.</p>'
    return _PAGE.format(title="Overview", script="", content=content)


def _now(overview: Overview) -> str:
    speed = overview.speed
    day = overview.day
    model = overview.model
    problem = overview.database_detail or overview.usage_problem
    tiles = (
        ("Writing", f"{overview.running:,}", "replies at once"),
        ("Waiting", f"{overview.waiting:,}", "questions in the queue"),
        (
            "Tokens a second",
            f"{speed.now:,.0f}",
            f"{speed.minute:,.1f} over 1 min, {speed.quarter_hour:,.1f} over 15",
        ),
        ("First token", _seconds(day.first_token_seconds), "median of the last day"),
    )
    drawn = "".join(
        f'<div><dt>{name}</dt><dd><b>{value}</b> <span class="hint">{note}</span></dd></div>'
        for name, value, note in tiles
    )
    states = f"model {_state(model.status)} database {_state(overview.database)}"
    up = f"up for {_span(overview.started_at, overview.at)}"
    return (
        f'<section id="now" aria-label="Now"><p class="states">{states} '
        f'<span class="hint" id="as-of">{up}, Parley {escape(overview.version)}</span></p>'
        f"{_sentence(problem)}"
        f'<dl class="tiles">{drawn}</dl></section>'
    )


def _model(overview: Overview) -> str:
    model, memory = overview.model, overview.memory
    window = f"{model.window:,} tokens" if model.window else "not known yet"
    facts = [
        ("Model", escape(model.name)),
        ("Runs on", escape(model.device)),
        ("Window", window),
        ("Threads in its memory", f"{overview.resident_threads:,}"),
        ("Parked in memory", _size(memory.parked_memory)),
        ("Parked on disk", _size(memory.parked_disk)),
        ("Parley uses", _size(memory.process)),
        ("Free memory", _size(memory.free)),
        ("Free disk", _size(memory.free_disk)),
        ("Pages that are open", f"{overview.watching:,}"),
    ]
    if model.others:
        facts.insert(1, ("Others to choose", escape(", ".join(model.others))))
    drawn = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts)
    return _section("model", "Model and memory", f'<dl class="facts">{drawn}</dl>')


def _platforms(adapters: Sequence[AdapterState]) -> str:
    if not adapters:
        text = '<p class="hint">None is set up; people come by this page and the terminal.</p>'
        return _section("platforms", "Platforms", text)
    items = "".join(
        f"<li><b>{escape(each.name)}</b> {_state(each.status)} {escape(each.detail)}</li>"
        for each in adapters
    )
    return _section("platforms", "Platforms", f"<ul>{items}</ul>")


def _personalities(overview: Overview) -> str:
    names = f'<p class="hint">{escape(", ".join(overview.personalities) or "Not read yet.")}</p>'
    faults = "".join(_fault(fault, overview.at) for fault in overview.faults)
    if faults:
        said = "What is wrong below is not in use: each answers as when it was last right."
        names += f'<p class="bad">{said}</p><ul>{faults}</ul>'
    return _section("personalities", "Personalities", names)


def _fault(fault: FileFault, now: datetime) -> str:
    place = f"{fault.file}:{fault.line}" if fault.line else fault.file
    since = f'<span class="hint">for {_span(fault.since, now)}</span>'
    return f"<li><code>{escape(place)}</code> {escape(fault.sentence)} {since}</li>"


def _turns(overview: Overview) -> str:
    counts = overview.day.turns
    if not counts:
        return _section("turns", "Turns of the last day", _NOBODY)
    platforms = sorted({each.platform for each in counts})
    rows = [[escape(name), *_ends(counts, name)] for name in platforms]
    if len(rows) > 1:
        rows.append(["all", *_ends(counts)])
    table = _table(("Platform", *_ENDS), rows)
    return _section("turns", "Turns of the last day", table)


def _ends(counts: Iterable[TurnCount], platform: str | None = None) -> list[str]:
    of_it = [each for each in counts if platform in (None, each.platform)]
    return [f"{sum(each.number for each in of_it if each.state is end):,}" for end in _ENDS]


def _people(title: str, usage: UsageSummary) -> str:
    name = "day" if "day" in title.split() else "week"
    if not usage.people:
        return _section(name, title, _NOBODY)
    head = ("Person", "answers", "tokens", "median", "good", "bad")
    table = _table(head, map(_person, usage.people[:MAX_PEOPLE]))
    if (num_more := len(usage.people) - MAX_PEOPLE) > 0:
        table += f'<p class="hint">and {num_more:,} more</p>'
    return _section(name, title, table)


def _person(person: PersonUsage) -> list[str]:
    """A browser of this machine has a long name, of which the beginning tells it apart."""
    name = _BROWSER.sub(r"\1…", person.person)
    numbers = (person.answers, person.completion_tokens)
    votes = (person.likes, person.dislikes)
    counts = [f"{each:,}" for each in numbers]
    return [escape(name), *counts, _seconds(person.seconds), *(f"{each:,}" for each in votes)]


_NOBODY = '<p class="hint">Nobody was answered in this time.</p>'


def _table(head: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    names = "".join(f'<th scope="col">{name}</th>' for name in head)
    lines = "".join(
        f'<tr><th scope="row">{first}</th>' + "".join(f"<td>{each}</td>" for each in rest) + "</tr>"
        for first, *rest in rows
    )
    return f"<table><thead><tr>{names}</tr></thead><tbody>{lines}</tbody></table>"


def _section(name: str, title: str, content: str) -> str:
    return (
        f'<section id="{name}" aria-labelledby="{name}-title">'
        f'<h2 id="{name}-title">{title}</h2>{content}</section>'
    )


def _state(status: str) -> str:
    return f'<span class="state {_GOOD.get(status, "wrong")}">{escape(status)}</span>'


def _sentence(problem: str) -> str:
    return f'<p class="bad">{escape(problem)}</p>' if problem else ""


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:,.2f} s" if value < 10 else f"{value:,.0f} s"


def _size(num_bytes: int | None) -> str:
    if num_bytes is None:
        return "not told by this system"
    return f"{num_bytes / 10**9:,.1f} GB" if num_bytes >= 10**9 else f"{num_bytes / 10**6:,.0f} MB"


def _span(since: datetime, until: datetime) -> str:
    """In the largest unit that fits, and the next."""
    seconds = max(0, int((until - since).total_seconds()))
    parts = list[str]()
    for unit, size in _UNITS:
        number, seconds = divmod(seconds, size)
        if number or parts:
            parts.append(f"{number} {unit}" if number else "")
    return " ".join(filter(None, parts[:2])) or "0 s"

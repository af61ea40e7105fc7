"""The words for a turn's place in line."""

from __future__ import annotations


def in_line(place: int, wait: float | None = None) -> str:
    """``You are 3rd in line, about 20 s…``"""
    who = "You are next in line" if place == 1 else f"You are {ordinal(place)} in line"
    if wait is None:
        return f"{who}…"
    return f"{who}, about {_rounded(wait)}…"


def in_thread(num_ahead: int) -> str:
    """While earlier questions of the same thread are answered."""
    if num_ahead == 1:
        return "Next in this thread…"
    return f"{ordinal(num_ahead)} in line in this thread…"


def ordinal(number: int) -> str:
    last = number % 10 if number % 100 not in (11, 12, 13) else 0
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(last, 'th') }"


def _rounded(seconds: float) -> str:
    """Coarse, so that an estimate that wavers does not move the message."""
    if seconds < 90:
        step = 1 if seconds < 5 else 5
        return f"{max(1, round(seconds / step) * step)} s"
    return f"{round(seconds / 60)} min"

"""Quoted material: what a message carries beside its own words, as text for the model."""

from __future__ import annotations

_BRACKETS = str.maketrans("[]", "()")


def quoted(title: str, text: str) -> str:
    """``text`` under its title; every line is marked, so it cannot pass for anything else."""
    lines = text.strip().splitlines()
    head = " ".join(title.translate(_BRACKETS).split())
    return "\n".join((f"[{head}]", *(f"> {line}".rstrip() for line in lines)))


def with_quotes(text: str, *quotes: str) -> str:
    """The person's own words, then each quoted piece; empty ones are left out."""
    return "\n\n".join(part for part in (text.strip(), *quotes) if part)

"""``personalities list``, ``show`` and ``check``: who answers, and what is wrong in the files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bot.cli.tables import aligned
from bot.clock import SystemClock
from bot.config import Settings
from bot.generation import Sampling
from bot.personality import PersonalityBook, PersonalityFault, faults_of
from bot.running.engines import known_models, make_catalogue, remote_faults
from bot.types import Personality

_MAX_DESCRIPTION = 60


def read(settings: Settings) -> tuple[Personality, ...]:
    """Raises ``PersonalityError``."""
    return _book(settings).all()


def named(settings: Settings, name: str) -> Personality:
    """Raises ``PersonalityError`` and ``UnknownPersonality``."""
    return _book(settings).get(name)


def check(settings: Settings, folder: Path | None) -> tuple[list[str], list[PersonalityFault]]:
    """The names of those that are right, and the mistakes; another folder needs no default."""
    default = settings.personality if folder is None else None
    models = known_models(settings, make_catalogue(settings))
    now = SystemClock().now()
    folder = folder or settings.personalities
    found, faults = faults_of(folder, default, models, now)
    lacking = remote_faults(settings, found, folder, now)
    wrong = {fault.file.stem for fault in lacking}
    return [each.name for each in found if each.name not in wrong], [*faults, *lacking]


def facts_of(personality: Personality) -> dict[str, Any]:
    """For programs: what stands in the file, but for what is not set."""
    facts = asdict(personality)
    usual = asdict(Sampling())
    facts["sampling"] = {
        name: value for name, value in facts["sampling"].items() if value != usual[name]
    }
    return _set(facts)


def as_table(found: Sequence[Personality], default: str) -> list[str]:
    head = ("", "name", "title", "model", "description")
    rows = [
        (
            "*" if each.name == default.strip().casefold() else "",
            *(each.name, each.title, each.model or ""),
            _short(each.description),
        )
        for each in found
    ]
    return [line.rstrip() for line in aligned([head, *rows], num_texts=5)]


def shown(personality: Personality) -> str:
    """As a person reads it: what is set, then the system prompt."""
    facts = facts_of(personality)
    prompt, sampling = facts.pop("prompt"), facts.pop("sampling", {})
    lines = [f"{name.replace('_', ' ')}: {_told(value)}" for name, value in facts.items()]
    lines += [f"{name.replace('_', ' ')}: {_told(value)}" for name, value in sampling.items()]
    return "\n".join([*lines, "", prompt])


def _book(settings: Settings) -> PersonalityBook:
    models = known_models(settings, make_catalogue(settings))
    return PersonalityBook.load(settings.personalities, settings.personality, models)


def _set(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value or value is False}


def _told(value: Any) -> str:
    if not isinstance(value, list | tuple):
        return str(value)
    each = (" -> ".join(one.values()) if isinstance(one, dict) else str(one) for one in value)
    return "".join(f"\n  - {one}" for one in each)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MAX_DESCRIPTION else f"{line[: _MAX_DESCRIPTION - 1]}…"

"""Settings: defaults < ``parley.toml`` < environment, every mistake reported at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from bot.errors import SettingsError
from bot.settings.kinds import PLATFORMS
from bot.settings.old_names import OldNames, from_old_names, old_names_table
from bot.settings.rules import (
    broken_rules,
    how_to_switch_on,
    inner_pages,
    not_in_this_version,
    without_effect,
)
from bot.settings.sources import FIELDS, SECRETS, Given, Key, from_environment, from_file
from bot.settings.tables import Settings

__all__ = [
    "PLATFORMS",
    "Settings",
    "env_example",
    "given_names",
    "how_to_switch_on",
    "inner_pages",
    "load_settings",
    "not_in_this_version",
    "old_names_table",
    "settings_table",
    "without_effect",
]

_MAX_SHOWN = 80
_MUST_BE = {
    "int": "a whole number",
    "float": "a number",
    "finite": "a finite number",
    "bool": "true or false",
    "string": "text",
    "tuple": "a list of texts",
    "dict": "a list of texts",
    "path": "a path",
}


def load_settings(environ: Mapping[str, str], folder: Path) -> Settings:
    """Relative paths are in ``folder``; ``SettingsError`` names every mistake at once."""
    file, environment = from_file(folder), from_environment(environ, folder)
    new = file.values | environment.values
    old = from_old_names(environ, folder, new)
    given = old.values | new
    mistakes = _mistakes(given, folder)
    right = {key: given[key] for key in given if key not in mistakes}
    settings = _validated(right, folder, old)
    wrong = file.wrong | environment.wrong | mistakes.keys()
    problems = [*file.problems, *environment.problems, *mistakes.values()]
    problems += broken_rules(settings, frozenset(key.table or key.name for key in wrong))
    if problems:
        raise SettingsError(problems)
    return settings


def given_names(settings: Settings) -> list[str]:
    """Names of the settings that somebody set, in the environment's form."""
    given = [key for key in FIELDS if key.name in _set_in(settings, key.table)]
    old = {Key("", name): f" (as {old_name})" for name, old_name in settings.old_names.items()}
    return [f"{key.env}{old.get(key, '')}" for key in given]


def _set_in(settings: Settings, table: str) -> set[str]:
    return (getattr(settings, table) if table else settings).model_fields_set


def _validated(given: Mapping[Key, Given], folder: Path, old: OldNames | None = None) -> Settings:
    old = old or OldNames()
    context = {"folder": folder, "old_names": old.used, "notes": tuple(old.notes)}
    return Settings.model_validate(_nested(given), context=context)


def _mistakes(given: Mapping[Key, Given], folder: Path) -> dict[Key, str]:
    try:
        _validated(given, folder)
    except ValidationError as error:
        found = [(_key(detail), detail) for detail in error.errors(include_url=False)]
        return {key: _sentence(key, given[key], detail) for key, detail in found if key in given}
    return {}


def _nested(given: Mapping[Key, Given]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, item in given.items():
        table = values.setdefault(key.table, {}) if key.table else values
        table[key.name] = item.value
    return values


def _key(detail: ErrorDetails) -> Key:
    first, *rest = map(str, detail["loc"])
    return Key(first, rest[0]) if first in PLATFORMS and rest else Key("", first)


def _sentence(key: Key, given: Given, detail: ErrorDetails) -> str:
    shown = "wrong" if key in SECRETS else _shortened(repr(given.value))
    return f"{given.label} is {shown}; {_advice(detail)}."


def _shortened(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "…"


def _advice(detail: ErrorDetails) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind == "greater_than_equal":
        return f"it must be at least {context['ge']}"
    if kind == "less_than_equal":
        return f"it must be at most {context['le']}"
    if kind == "literal_error":
        return f"it must be {context['expected']}"
    expected = _MUST_BE.get(kind.partition("_")[0])
    return f"it must be {expected}" if expected else detail["msg"].lower()


_HEAD = """\
# Parley's settings, each with its default. Copy this file to .env (Docker Compose) or to
# /etc/parley/env (systemd) and take away the # before what you set.
# A secret may come from a file instead: NAME_FILE=/run/secrets/name.
"""


def _shown_default(info: FieldInfo) -> str:
    extra = info.json_schema_extra
    if isinstance(extra, dict) and "shown" in extra:
        return str(extra["shown"])
    default = info.default
    if default is None or default in ((), {}):
        return ""
    return str(default).lower() if isinstance(default, bool) else str(default)


def settings_table() -> str:
    """A Markdown table of every setting, for deploy/settings.md."""
    rows = ["| Setting | Default | Meaning |", "|---|---|---|"]
    for key, info in FIELDS.items():
        default = _shown_default(info)
        shown = f"`{default}`" if default else ""
        rows.append(f"| `{key.env}` | {shown} | {info.description} |")
    return "\n".join(rows) + "\n"


def _example_lines(key: Key, info: FieldInfo) -> list[str]:
    meaning = f"{info.description}{' Secret.' if key in SECRETS else ''}".replace("`", "")
    return [f"# {meaning}", f"#{key.env}={_shown_default(info)}", ""]


def env_example() -> str:
    """The text of ``deploy/env.example``."""
    lines = [line for key, info in FIELDS.items() for line in _example_lines(key, info)]
    return "\n".join([_HEAD, *lines]).rstrip() + "\n"

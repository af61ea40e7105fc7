"""The sources of settings: the environment, ``parley.toml``, and files that hold a secret."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, get_args

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from bot.settings.kinds import PLATFORMS, Secret
from bot.settings.platform_tables import Table
from bot.settings.tables import Settings

FILE_NAME = "parley.toml"
_PREFIX = "PARLEY_"
_MAX_SECRET_BYTES = 64 * 1024


class Key(NamedTuple):
    """A setting: ``table`` is a platform, or empty for Parley's own."""

    table: str
    name: str

    @property
    def env(self) -> str:
        return f"{self.table or 'parley'}_{self.name}".upper()


def _fields() -> Iterator[tuple[Key, FieldInfo]]:
    for name, info in Settings.model_fields.items():
        if name not in PLATFORMS:
            yield Key("", name), info
            continue
        table = info.annotation
        assert isinstance(table, type)  # noqa: S101
        assert issubclass(table, Table)  # noqa: S101
        yield from ((Key(name, inner), field) for inner, field in table.model_fields.items())


def _is_secret(kind: object) -> bool:
    return kind is SecretStr or isinstance(kind, Secret) or any(map(_is_secret, get_args(kind)))


FIELDS: Mapping[Key, FieldInfo] = dict(_fields())
SECRETS = frozenset(
    key for key, info in FIELDS.items() if any(map(_is_secret, (info.annotation, *info.metadata)))
)
_BY_ENV = {key.env: key for key in FIELDS}
_FILES = {Key(key.table, f"{key.name}_file"): key for key in SECRETS}
_BY_ENV_FILE = {key.env: key for key in _FILES}


@dataclass(frozen=True, slots=True)
class Given:
    """A value that somebody set; ``label`` names the setting and the place, for a sentence."""

    value: object
    label: str


@dataclass(slots=True)
class SettingsSource:
    """The values of the environment or of ``parley.toml``, and the problems found there."""

    values: dict[Key, Given] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    wrong: set[Key] = field(default_factory=set)

    def refuse(self, key: Key, problem: str) -> None:
        self.wrong.add(key)
        self.problems.append(problem)


def _similar(name: str, known: Mapping[str, object]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
    return f"; did you mean {close[0]}?" if close else "; remove it."


def from_environment(environ: Mapping[str, str], folder: Path) -> SettingsSource:
    """An empty variable counts as not set, as in a compose file."""
    source = SettingsSource()
    for name, value in environ.items():
        key = _BY_ENV.get(name) or _BY_ENV_FILE.get(name)
        if key is not None and value.strip():
            source.values[key] = Given(value.strip(), f"{name} in the environment")
        elif key is None and name.startswith(_PREFIX):
            source.problems.append(
                f"{name} in the environment is no setting of Parley{_similar(name, _BY_ENV)}"
            )
    _read_secret_files(source, folder)
    return source


def from_file(folder: Path) -> SettingsSource:
    source = SettingsSource()
    try:
        text = (folder / FILE_NAME).read_text(encoding="utf-8")
        tables = tomllib.loads(text)
    except FileNotFoundError:
        return source
    except OSError as error:
        source.problems.append(f"{FILE_NAME} cannot be read: {error.strerror}.")
        return source
    except UnicodeDecodeError:
        source.problems.append(f"{FILE_NAME} is not UTF-8 text; save it as UTF-8.")
        return source
    except tomllib.TOMLDecodeError as error:
        source.problems.append(f"{FILE_NAME} is not valid TOML: {error}.")
        return source
    _flatten(tables, text, source)
    _read_secret_files(source, folder)
    return source


def _flatten(tables: Mapping[str, object], text: str, source: SettingsSource) -> None:
    known = {key.name: key for key in (*FIELDS, *_FILES) if not key.table}
    for name, value in tables.items():
        if name not in PLATFORMS:
            _take(known, "", name, value, text, source)
        elif isinstance(value, dict):
            inside = {key.name: key for key in (*FIELDS, *_FILES) if key.table == name}
            for inner, inner_value in value.items():
                _take(inside, name, inner, inner_value, text, source)
        else:
            source.problems.append(f"{name} in {FILE_NAME} must be a table; write [{name}].")


def _take(
    known: Mapping[str, Key],
    table: str,
    name: str,
    value: object,
    text: str,
    source: SettingsSource,
) -> None:
    shown = f"{name} in [{table}]" if table else name
    label = f"{shown} ({FILE_NAME}, line {_line(text, table, name)})"
    if name in known:
        source.values[known[name]] = Given(value, label)
    else:
        source.problems.append(f"{label} is no setting of Parley{_similar(name, known)}")


def _line(text: str, table: str, name: str) -> int:
    """The line of a key; 1 if it is written in a form that this does not find."""
    inside = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[+\s*([\w.-]+)", line):
            inside = header[1]
            if not table and inside == name:
                return number
        elif inside == table and re.match(rf"\s*[\"']?{re.escape(name)}[\"']?\s*[=.]", line):
            return number
    return 1


def _read_secret_files(source: SettingsSource, folder: Path) -> None:
    for file_key in sorted(_FILES.keys() & source.values.keys()):
        given, key = source.values.pop(file_key), _FILES[file_key]
        if key in source.values:
            source.refuse(
                key, f"{given.label} and {source.values[key].label} are both set; keep one."
            )
            continue
        try:
            with (folder / Path(str(given.value)).expanduser()).open("rb") as file:
                secret = file.read(_MAX_SECRET_BYTES).decode().strip()
        except OSError as error:
            source.refuse(key, f"{given.label} cannot be read: {error.strerror}.")
        except UnicodeDecodeError:
            source.refuse(key, f"{given.label} is not UTF-8 text.")
        else:
            source.values[key] = Given(secret, given.label)

"""Reads a file of questions; every mistake is a sentence with file and line."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from pydantic import ValidationError

from bot.errors import StartError
from bot.evaluation.cases import AnswerCheck, EvalCase, EvalEngine, EvalSampling, EvalSet, EvalTurn
from bot.evaluation.fields import (
    CaseFields,
    CheckFields,
    EngineFields,
    EvalFileFields,
    QuotableFields,
    TurnFields,
    hint,
)
from bot.yaml_text import Key, NotYaml, Problem, YamlText, explained

_MAX_PROBLEMS = 5
_TEXTS = {".csv", ".md", ".txt"}


def read_set(path: Path, environ: Mapping[str, str]) -> EvalSet:
    """Raises ``StartError``, with the first problems at once. Blocks."""
    text = _text(path)
    try:
        source = YamlText(text, as_json=("schema",))
    except NotYaml as error:
        raise _refused(path, [error.problem]) from None
    try:
        fields = EvalFileFields.model_validate(source.values)
    except ValidationError as error:
        found = [
            Problem(source.line(details["loc"]), explained(details, "the file", hint))
            for details in error.errors()
        ]
        raise _refused(path, source.duplicates + found) from None
    building = _Building(path.parent, environ)
    made = building.set_of(fields)
    wrong = [Problem(source.line(key), text) for key, text in (*building.wrong, *_clashes(fields))]
    if problems := source.duplicates + wrong:
        raise _refused(path, problems)
    return made


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise StartError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise StartError(f"{path} is no text in UTF-8.") from None


def _refused(path: Path, problems: Sequence[Problem]) -> StartError:
    lines = [
        f"{path}:{line}: {text}" + ("" if text.endswith("?") else ".")
        for line, text in sorted(problems)
    ]
    if (num := len(lines) - _MAX_PROBLEMS) > 0:
        lines[_MAX_PROBLEMS:] = [f"{path} has {num:,} more mistakes."]
    return StartError("\n".join(lines))


def _clashes(fields: EvalFileFields) -> list[tuple[Key, str]]:
    """Names that stand for two, and who judges without being there."""
    found: list[tuple[Key, str]] = []
    for key, names in (
        ("cases", [case.name for case in fields.cases]),
        ("engines", [engine.name for engine in fields.engines]),
    ):
        times = Counter(names)
        seen: set[str] = set()
        for number, name in enumerate(names):
            if times[name] > 1 and name in seen:
                found.append(((key, number), f"the name {name!r} is that of another one, too"))
            seen.add(name)
    return found


class _Building:
    """Makes values of fields; ``wrong`` has what is found to be so while files are read."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._folder = folder
        self._environ = environ
        self.wrong: list[tuple[Key, str]] = []

    def set_of(self, fields: EvalFileFields) -> EvalSet:
        return EvalSet(
            title=fields.title,
            cases=tuple(
                self._case(("cases", number), case) for number, case in enumerate(fields.cases)
            ),
            personalities=fields.personalities or (),
            models=fields.models or (),
            engines=tuple(
                self._engine(("engines", number), engine)
                for number, engine in enumerate(fields.engines)
            ),
            sampling=EvalSampling(fields.temperature, fields.seed, fields.max_tokens),
            repeat=fields.repeat,
            judge=fields.judge or "",
        )

    def _engine(self, key: Key, fields: EngineFields) -> EvalEngine:
        secret = self._environ.get(fields.key_from, "") if fields.key_from else ""
        if fields.key_from and not secret:
            self.wrong.append(((*key, "key-from"), f"{fields.key_from} is not set"))
        return EvalEngine(fields.name, fields.url, fields.model or "", secret)

    def _case(self, key: Key, fields: CaseFields) -> EvalCase:
        if fields.question is not None:
            checks = self._checks((*key, "checks"), fields.checks)
            turns: tuple[EvalTurn, ...] = (EvalTurn(fields.question, checks=checks),)
        else:
            turns = tuple(
                self._turn((*key, "turns", number), turn)
                for number, turn in enumerate(fields.turns)
            )
        return EvalCase(fields.name, turns, fields.personality or ())

    def _turn(self, key: Key, fields: TurnFields) -> EvalTurn:
        checks = self._checks((*key, "checks"), fields.checks)
        return EvalTurn(fields.question, fields.answer, checks)

    def _checks(self, key: Key, checks: Sequence[CheckFields]) -> tuple[AnswerCheck, ...]:
        return tuple(self._check((*key, number), each) for number, each in enumerate(checks))

    def _check(self, key: Key, fields: CheckFields) -> AnswerCheck:
        (name,) = fields.model_fields_set
        value = getattr(fields, name)
        match name:
            case "schema_":
                return AnswerCheck("schema", (self._schema((*key, "schema"), value),))
            case "quoted":
                return AnswerCheck("quoted", self._quotable((*key, "quoted"), value))
            case "contains" | "regex" | "equals" | "judge":
                return AnswerCheck(name, _texts(value))
            case "not_contains":
                return AnswerCheck("not-contains", value)
            case "not_equals":
                return AnswerCheck("not-equals", (value,))
            case "one_of":
                return AnswerCheck("one-of", value)
            case "max_tokens":
                return AnswerCheck("max-tokens", (str(value),))
            case "max_seconds":
                return AnswerCheck("max-seconds", (str(value),))
        return AnswerCheck("is-json")

    def _schema(self, key: Key, value: object) -> str:
        if not isinstance(value, str):
            return json.dumps(value, ensure_ascii=False)
        text = self._read(key, value)
        try:
            schema = json.loads(text or "{}")
            Draft202012Validator.check_schema(schema)
        except ValueError:
            self.wrong.append((key, f"{value} is no JSON"))
        except SchemaError as error:
            self.wrong.append((key, f"{value} is no JSON schema ({error.message})"))
        return text

    def _quotable(self, key: Key, values: Sequence[QuotableFields]) -> tuple[str, ...]:
        return tuple(
            text
            for number, each in enumerate(values)
            for text in self._sources((*key, number), each)
        )

    def _sources(self, key: Key, fields: QuotableFields) -> Iterator[str]:
        """Of a folder the texts of all its files that are some."""
        if fields.text or not (self._folder / (fields.file or "")).is_dir():
            yield fields.text or self._read(key, fields.file or "")
            return
        for path in sorted((self._folder / (fields.file or "")).rglob("*")):
            if path.suffix.lower() in _TEXTS and path.is_file():
                yield self._read(key, str(path.relative_to(self._folder)))

    def _read(self, key: Key, name: str) -> str:
        try:
            return (self._folder / name).read_text(encoding="utf-8-sig")
        except OSError as error:
            self.wrong.append((key, f"{name} cannot be read: {error.strerror}"))
        except UnicodeDecodeError:
            self.wrong.append((key, f"{name} is no text in UTF-8"))
        return ""


def _texts(value: str | tuple[str, ...]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else value

"""All REST traffic of the tests, there and back, against Discord's own OpenAPI description.

``discord_openapi.json`` holds the operations that Parley calls and what they refer to, taken from
Discord's "HTTP API (Preview)" v10 of 2026-07-18 (github.com/discord/discord-api-spec), which
is Discord's and under the MIT licence: permission is granted, free of charge, to any person
obtaining a copy, to deal in it without restriction, provided this notice is kept. It comes
without warranty of any kind. Copyright (c) Discord Inc.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from referencing import Registry
from referencing.jsonschema import DRAFT202012

_FILE = Path(__file__).with_name("discord_openapi.json")
_URI = "discord:openapi"
_REAL_NAMES = {
    "reactions/{emoji}": "reactions/{emoji_name}",
}
FirstError = Callable[[str], str | None]
"""What is wrong with a JSON text, or None."""

_JSON = ("content", "application/json", "schema")


def problem_with(verb: str, path: str, body: object, query: Iterable[str] = ()) -> str | None:
    """Why Discord's description forbids this request, or None."""
    known = {each["name"] for each in _operation(verb, path).get("parameters", ())}
    if unknown := set(query) - known:
        return f"{verb} {path} knows no {', '.join(sorted(unknown))}"
    first_error = _checker(verb, path, "requestBody")
    if first_error is None:
        return None if body is None else f"{verb} {path} takes no body"
    problem = first_error(json.dumps(body))
    return f"{verb} {path}: {problem}" if problem else None


def problem_with_answer(verb: str, path: str, status: int, body: object) -> str | None:
    """Why Discord's description forbids this answer, or None."""
    responses = _operation(verb, path)["responses"]
    found = next((each for each in (str(status), f"{status // 100}XX") if each in responses), None)
    if found is None:
        return f"{verb} {path} is never answered with {status}"
    first_error = _checker(verb, path, "responses", found)
    if first_error is None:
        return None if body is None else f"{verb} {path} is answered without a body"
    problem = first_error(json.dumps(body))
    return f"the answer {status} to {verb} {path}: {problem}" if problem else None


@cache
def _checker(verb: str, path: str, *keys: str) -> FirstError | None:
    """None: there is no body. One that comes again, as Parley's commands do, is looked up."""
    validator = _validator(verb, path, *keys)
    return lru_cache(partial(_first_error, validator)) if validator else None


def _first_error(validator: Draft202012Validator, body: str) -> str | None:
    error = best_match(validator.iter_errors(json.loads(body)))
    return f"{error.json_path} {error.message[:300]}" if error else None


@cache
def _description() -> dict[str, Any]:
    """With the reference of a forward, which Discord documents elsewhere."""
    description: dict[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))
    description["components"]["schemas"]["MessageReferenceType"]["oneOf"].append({"const": 1})
    return description


@cache
def _registry() -> Registry[Any]:
    resource = DRAFT202012.create_resource(_description())
    registry: Registry[Any] = Registry().with_resource(_URI, resource)
    return registry


@cache
def _operation(verb: str, path: str) -> dict[str, Any]:
    operations = _description()["paths"].get(_real(path), {})
    assert verb.lower() in operations, f"Discord has no {verb} {path}"
    operation: dict[str, Any] = operations[verb.lower()]
    return operation


def _validator(verb: str, path: str, *keys: str) -> Draft202012Validator | None:
    pointer = ["paths", _real(path), verb.lower(), *keys]
    here: Any = _operation(verb, path)
    for key in keys:
        here = here.get(key, {})
    if "$ref" in here:
        pointer = here["$ref"].removeprefix("#/").split("/")
        here = _description()["components"]["responses"][pointer[-1]]
    if _JSON[1] not in here.get("content", {}):
        return None
    escaped = (each.replace("~", "~0").replace("/", "~1") for each in (*pointer, *_JSON))
    return Draft202012Validator({"$ref": f"{_URI}#/{'/'.join(escaped)}"}, registry=_registry())


def _real(path: str) -> str:
    for ours, theirs in _REAL_NAMES.items():
        path = path.replace(ours, theirs)
    return path

"""Requests against Discord's own OpenAPI description.

``discord_openapi.json`` holds the paths that Parley calls and what they refer to, taken from
Discord's "HTTP API (Preview)" v10 of 2026-07-18 (github.com/discord/discord-api-spec), which
is Discord's and under the MIT licence: permission is granted, free of charge, to any person
obtaining a copy, to deal in it without restriction, provided this notice is kept. It comes
without warranty of any kind. Copyright (c) Discord Inc.
"""

from __future__ import annotations

import json
from functools import cache
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


@cache
def _description() -> dict[str, Any]:
    description: dict[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))
    return description


@cache
def _registry() -> Registry[Any]:
    resource = DRAFT202012.create_resource(_description())
    registry: Registry[Any] = Registry().with_resource(_URI, resource)
    return registry


@cache
def _validator(verb: str, path: str) -> Draft202012Validator | None:
    """None: this operation takes no body."""
    operations = _description()["paths"].get(path)
    assert operations is not None, f"Discord has no {path}"
    operation = operations.get(verb.lower())
    assert operation is not None, f"Discord has no {verb} {path}"
    content = operation.get("requestBody", {}).get("content", {})
    if "application/json" not in content:
        return None
    pointer = path.replace("~", "~0").replace("/", "~1")
    schema = f"{_URI}#/paths/{pointer}/{verb.lower()}/requestBody/content/application~1json/schema"
    return Draft202012Validator({"$ref": schema}, registry=_registry())


def problem_with(verb: str, path: str, body: object) -> str | None:
    """Why Discord's description forbids this request; None if it does not."""
    for ours, theirs in _REAL_NAMES.items():
        path = path.replace(ours, theirs)
    validator = _validator(verb, path)
    if validator is None:
        return None if body is None else f"{verb} {path} takes no body"
    error = best_match(validator.iter_errors(body))
    return f"{verb} {path}: {error.message[:300]}" if error else None

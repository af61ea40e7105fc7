"""The OpenAPI description of the HTTP APIs; each room describes its own routes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, TypeAdapter

from adapters.http.common.errors import ErrorAnswer

JSON = "application/json"
TEXT = "text/plain"
EVENTS = "text/event-stream"
FORM = "application/x-www-form-urlencoded"

Content = Mapping[str, Any]
"""Content type -> the type of what it carries, as pydantic knows it."""

_NOTHING: Content = MappingProxyType({})
_OPENAI_ERROR: Content = MappingProxyType({JSON: ErrorAnswer})
_REFERENCE = "#/components/schemas/{model}"
_FAILURES = {
    400: "The request is wrong; the message says what to change.",
    401: "A key is needed, or this one is not known.",
    403: "The caller may not ask this.",
    404: "There is no such model or thing.",
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    415: "The body is of another content type.",
    429: "Too much is asked at once; Retry-After says when to come back.",
    503: "The engine cannot answer.",
}

_HEADERS = {429: {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds"}}}


class AnswerBody(BaseModel):
    """The shape of an answer, only described: an answer has no key that is not named here."""

    model_config = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A route as its clients see it.

    ``path`` is as aiohttp has it, without regular expressions. ``answer`` and ``body`` have an
    entry for each content type, ``EVENTS`` with what an event's data is as JSON; a route without
    ``body`` reads none, and one that ``needs_body`` no other. ``query``: a model whose
    fields are the parameters; ``headers`` likewise.
    """

    method: Literal["get", "post", "put", "delete"]
    path: str
    summary: str
    answer: Content = field(default_factory=dict)
    body: Content = field(default_factory=dict)
    needs_body: bool = True
    query: type[BaseModel] | None = None
    headers: type[BaseModel] | None = None
    error: Content = field(default_factory=lambda: _OPENAI_ERROR)
    status: int = 200


class Description:
    """Made when it is first asked for."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._operations = (*operations, _OWN)

    async def serve(self, request: web.Request) -> web.Response:
        """Making it takes long enough for replies to wait, so it is made in a thread."""
        document = await asyncio.to_thread(lambda: self.document)
        return web.json_response(document)

    @cached_property
    def document(self) -> dict[str, Any]:
        schemas, definitions = _schemas(self._operations)
        paths: dict[str, dict[str, Any]] = {}
        for operation in self._operations:
            described = _described(operation, schemas)
            paths.setdefault(operation.path, {})[operation.method] = described
        return {
            "openapi": "3.1.0",
            "info": {
                "title": "Parley",
                "version": "1",
                "description": "What Parley serves to programs. A program on Parley's own "
                "machine needs no key until Parley can be reached from outside.",
            },
            "paths": paths,
            "components": {
                "schemas": definitions,
                "securitySchemes": {
                    "key": {"type": "http", "scheme": "bearer"},
                    "password": {"type": "http", "scheme": "basic"},
                },
            },
            "security": [{"key": []}, {"password": []}, {}],
        }


def route(operations: Iterable[Operation]) -> web.RouteDef:
    return web.get("/openapi.json", Description(operations).serve)


_OWN = Operation(
    method="get",
    path="/openapi.json",
    summary="This description",
    answer={JSON: dict[str, Any]},
)


def _schemas(
    operations: Sequence[Operation],
) -> tuple[dict[int, dict[str, Any]], dict[str, Any]]:
    """The schema of each type, by its identity, and what they refer to."""
    contents = (each for op in operations for each in (op.answer, op.body, op.error))
    types = {id(kind): kind for content in contents for kind in content.values()}
    inputs: list[tuple[int, Literal["validation"], TypeAdapter[Any]]] = [
        (number, "validation", TypeAdapter(kind)) for number, kind in types.items()
    ]
    schemas, rest = TypeAdapter.json_schemas(inputs, ref_template=_REFERENCE)
    return {number: schema for (number, _), schema in schemas.items()}, rest.get("$defs", {})


def _described(operation: Operation, schemas: Mapping[int, dict[str, Any]]) -> dict[str, Any]:
    error = _content(operation.error, schemas)
    failures = {
        str(status): {"description": why, "content": error, "headers": _HEADERS.get(status, {})}
        for status, why in _FAILURES.items()
        if operation.body or status not in (413, 415)
    }
    answer = _content(operation.answer, schemas)
    described: dict[str, Any] = {
        "operationId": _operation_id(operation),
        "summary": operation.summary,
        "parameters": _parameters(operation),
        "responses": {
            str(operation.status): {"description": operation.summary, "content": answer},
            **failures,
        },
    }
    if operation.body:
        content = _content(operation.body, schemas)
        described["requestBody"] = {"required": operation.needs_body, "content": content}
    return described


def _operation_id(operation: Operation) -> str:
    words = re.findall(r"\w+", operation.path)
    return "_".join([operation.method, *words])


def _content(content: Content, schemas: Mapping[int, dict[str, Any]]) -> dict[str, Any]:
    found = ((name, schemas[id(kind)]) for name, kind in content.items())
    return {
        name: {"schema": _event(schema) if name == EVENTS else schema} for name, schema in found
    }


def _event(data: Mapping[str, Any]) -> dict[str, Any]:
    """Of a stream of events the schema describes each, as is the custom before OpenAPI 3.2."""
    carried = {"type": "string", "contentMediaType": JSON, "contentSchema": data}
    last = {"const": "[DONE]"}
    properties = {"event": {"type": "string"}, "data": {"anyOf": [carried, last]}}
    return {"type": "object", "properties": properties}


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", operation.path)
    ]
    return [
        *in_path,
        *_from_model(operation.query, "query"),
        *_from_model(operation.headers, "header"),
    ]


def _from_model(model: type[BaseModel] | None, place: str) -> list[dict[str, Any]]:
    """One parameter for each field; they have plain types, so they refer to nothing."""
    schema = model.model_json_schema() if model else {}
    required = schema.get("required", ())
    return [
        {"name": name, "in": place, "required": name in required, "schema": field_schema}
        for name, field_schema in schema.get("properties", {}).items()
    ]

"""What a request of CodeProject.AI's clients asks for; of a field given twice the first counts."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from adapters.http.common.errors import InvalidBody
from adapters.http.common.forms import form_fields, query_fields
from adapters.http.common.json_bodies import NO_JSON, json_object, without_mark
from adapters.http.common.openapi import JSON
from bot.adapter_support.multipart import MULTIPART

_TEMPERATURE, _MAX_TEMPERATURE = 0.4, 2.0


async def fields_of(request: web.Request) -> Mapping[str, str]:
    """The query counts before the body. Raises ``InvalidBody`` if nothing of a body can be read."""
    return {**await _body_fields(request), **query_fields(request)}


async def _body_fields(request: web.Request) -> dict[str, str]:
    """JSON is told by its first character: many programs do not set the header that names it."""
    raw = without_mark(await request.read()).strip()
    is_json = raw[:1] in (b"{", b"[") or request.content_type == JSON
    if raw and is_json and request.content_type != MULTIPART:
        return _json_fields(raw)
    return await form_fields(request)


def _json_fields(raw: bytes) -> dict[str, str]:
    try:
        body = json_object(raw)
    except ValueError:
        raise InvalidBody(f"{NO_JSON}.") from None
    listed = body.get("values")
    named = listed if isinstance(listed, list) else []
    pairs = [(each.get("key"), each.get("value")) for each in named if isinstance(each, dict)]
    texts = [(key, _text(value)) for key, value in (*pairs, *body.items())]
    return {key: text for key, text in reversed(texts) if isinstance(key, str) and text is not None}


def _text(value: Any) -> str | None:
    """Forms have only texts, so a number is what its digits say; of a list the first counts."""
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, str):
        return value
    return json.dumps(value) if isinstance(value, int | float) else None


def max_tokens(fields: Mapping[str, str]) -> int | None:
    """None, which is the model's default, for 0 and for what cannot be read."""
    number = _number(fields.get("max_tokens"))
    return int(number) if number is not None and number >= 1 else None


def temperature(fields: Mapping[str, str]) -> float:
    """Within the bounds of Parley's samplers, since a refusal would break clients."""
    number = _number(fields.get("temperature"))
    return _TEMPERATURE if number is None else min(max(number, 0.0), _MAX_TEMPERATURE)


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None

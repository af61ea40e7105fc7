"""The fields of a form, of either kind, and of a query; of a field given twice the first counts."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import parse_qsl

from aiohttp import web

from adapters.http.common.openapi import FORM
from bot.adapter_support.multipart import MAX_PARTS, MULTIPART, parts_of, too_many_parts


def query_fields(request: web.Request) -> dict[str, str]:
    return _first(request.query.items())


async def form_fields(request: web.Request) -> dict[str, str]:
    """Files are left out; nothing if the body is no form. Raises ``RequestError``."""
    raw = await request.read()
    if request.content_type == FORM:
        return _first(_urlencoded(raw))
    if request.content_type == MULTIPART:
        parts = parts_of(request.headers["Content-Type"], raw)
        return _first((part.name, part.text) for part in parts if part.filename is None)
    return {}


def _first(fields: Iterable[tuple[str, str]]) -> dict[str, str]:
    return dict(reversed(list(fields)))


def _urlencoded(raw: bytes) -> list[tuple[str, str]]:
    try:
        text = raw.decode("utf-8", "replace")
        return parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_PARTS)
    except ValueError:
        raise too_many_parts() from None

"""The fields of a form, of either kind, and of a query; of a field given twice the first counts."""

from __future__ import annotations

from collections.abc import Iterable
from email import message_from_bytes
from email.message import Message
from urllib.parse import parse_qsl

from aiohttp import web

from adapters.http.common.errors import InvalidBody
from adapters.http.common.openapi import FORM, MULTIPART

_MAX_FIELDS = 100


def query_fields(request: web.Request) -> dict[str, str]:
    return _first(request.query.items())


async def form_fields(request: web.Request) -> dict[str, str]:
    """Files are left out; nothing if the body is no form. Raises ``InvalidBody``."""
    raw = await request.read()
    if request.content_type == FORM:
        return _first(_urlencoded(raw))
    if request.content_type == MULTIPART:
        return _first(_multipart(request.headers["Content-Type"], raw))
    return {}


def _first(fields: Iterable[tuple[str, str]]) -> dict[str, str]:
    return dict(reversed(list(fields)))


def _urlencoded(raw: bytes) -> list[tuple[str, str]]:
    try:
        text = raw.decode("utf-8", "replace")
        return parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise _too_many() from None


def _multipart(content_type: str, raw: bytes) -> Iterable[tuple[str, str]]:
    header = f"Content-Type: {content_type}".encode("utf-8", "surrogateescape")
    boundary = message_from_bytes(header).get_boundary()
    if not boundary:
        raise InvalidBody("The Content-Type of the form names no boundary.")
    delimiter = b"\r\n--" + boundary.encode("utf-8", "surrogateescape")
    _, *parts = (b"\r\n" + raw).split(delimiter, _MAX_FIELDS + 2)
    if len(parts) > _MAX_FIELDS + 1:
        raise _too_many()
    for part in parts[:-1]:
        head, _, value = part.partition(b"\r\n\r\n")
        about = message_from_bytes(head.lstrip())
        name = _parameter(about, "name")
        if name is not None and _parameter(about, "filename") is None:
            yield name, value.decode("utf-8", "replace")


def _parameter(head: Message, name: str) -> str | None:
    value = head.get_param(name, header="Content-Disposition")
    return value if isinstance(value, str) else None


def _too_many() -> InvalidBody:
    return InvalidBody(f"A form has at most {_MAX_FIELDS} fields.")

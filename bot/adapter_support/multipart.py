"""Forms of the kind ``multipart/form-data``, with which files come."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_string
from email.message import Message
from urllib.parse import unquote

from bot.errors import RequestError

MULTIPART = "multipart/form-data"
MAX_PARTS = 100
_ESCAPED = re.compile("%(?:22|0A|0D)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FormPart:
    """``filename``: None for a field that is no file."""

    name: str
    filename: str | None
    media_type: str
    data: bytes = field(repr=False)

    @property
    def text(self) -> str:
        return self.data.decode("utf-8", "replace")


def parts_of(content_type: str, body: bytes) -> Iterator[FormPart]:
    """Raises ``RequestError``; what has no name is left out."""
    boundary = message_from_string(f"Content-Type: {content_type}").get_boundary()
    if not boundary:
        raise RequestError("The Content-Type of the form names no boundary.")
    delimiter = b"\r\n--" + boundary.encode("utf-8", "surrogateescape")
    _, *parts = (b"\r\n" + body).split(delimiter, MAX_PARTS + 2)
    if len(parts) > MAX_PARTS + 1:
        raise too_many_parts()
    for part in parts[:-1]:
        head, _, data = part.partition(b"\r\n\r\n")
        about = message_from_string(head.lstrip().decode("utf-8", "replace"))
        name, filename = _parameter(about, "name"), _parameter(about, "filename")
        if name is not None:
            yield FormPart(name, filename, about.get_content_type(), data)


def too_many_parts() -> RequestError:
    return RequestError(f"A form has at most {MAX_PARTS} fields.")


def _parameter(head: Message, name: str) -> str | None:
    """As browsers write it: UTF-8, with a quotation mark and line ends as in an address."""
    value = head.get_param(name, header="Content-Disposition")
    return _ESCAPED.sub(_unescaped, value) if isinstance(value, str) else None


def _unescaped(found: re.Match[str]) -> str:
    return unquote(found[0])

"""JSON that a client sends, and what is said of a body that is none."""

from __future__ import annotations

from typing import Any

from pydantic_core import from_json

from adapters.http.common.errors import InvalidBody

OTHER_TYPE = "The body must be JSON, with the header 'Content-Type: application/json'."
NO_JSON = "The body is not valid JSON in UTF-8"

_BOM = b"\xef\xbb\xbf"


def without_mark(raw: bytes) -> bytes:
    """The mark that some editors put before UTF-8 is no JSON."""
    return raw.removeprefix(_BOM)


def json_object(raw: bytes, *, allow_inf_nan: bool = True) -> dict[str, Any]:
    """Raises ``ValueError`` for what is no JSON, and ``InvalidBody`` for what is no object."""
    found = from_json(without_mark(raw), allow_inf_nan=allow_inf_nan)
    if not isinstance(found, dict):
        raise InvalidBody("The body must be a JSON object.")
    return found

"""Readers of payloads: parsed JSON, of which any part may be missing or of another type.

Total: a part of another type counts as missing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Payload = Mapping[str, Any]
"""A JSON object from a platform."""

Json = dict[str, Any]
"""A JSON object for a platform."""


@dataclass(frozen=True, slots=True)
class PlainText:
    """A person's text, without markup and without the mention of the bot."""

    text: str
    mentions_bot: bool
    mentions_others: bool


def object_in(text: str) -> Json:
    """The JSON object that the text is; empty where it is none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def text_of(payload: Payload, key: str) -> str:
    value = payload.get(key)
    return value if isinstance(value, str) else ""


def table_of(payload: Payload, key: str) -> Payload:
    value = payload.get(key)
    return value if isinstance(value, Mapping) else {}


def items_of(payload: Payload, key: str) -> list[Any]:
    value = payload.get(key)
    return value if isinstance(value, list) else []


def tables_of(payload: Payload, key: str) -> list[Payload]:
    return [item for item in items_of(payload, key) if isinstance(item, Mapping)]


def size_of(payload: Payload, key: str) -> int:
    """In bytes; 0 where it is not known."""
    value = payload.get(key)
    return value if isinstance(value, int) and value > 0 else 0

"""A post's label as Slack message metadata. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.types import Label

_EVENT_TYPE = "parley_reply"


def to_metadata(label: Label) -> dict[str, Any]:
    payload = {"turn": label.turn_id, "part": label.part}
    return {"event_type": _EVENT_TYPE, "event_payload": payload}


def read_label(message: Mapping[str, Any]) -> Label | None:
    metadata = message.get("metadata")
    if not isinstance(metadata, Mapping) or metadata.get("event_type") != _EVENT_TYPE:
        return None
    payload = metadata.get("event_payload")
    turn, part = (
        (payload.get("turn"), payload.get("part")) if isinstance(payload, dict) else ("", 0)
    )
    return Label(turn, part) if isinstance(turn, str) and isinstance(part, int) else None

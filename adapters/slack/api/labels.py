"""The label of a post, as metadata that Slack keeps with the message."""

from __future__ import annotations

from bot.adapter_support.payloads import Payload, table_of, text_of
from bot.types import Label

_REPLY = "parley_reply"


def metadata_of(label: Label) -> Payload:
    return {
        "event_type": _REPLY,
        "event_payload": {"turn": label.turn_id, "part": label.part},
    }


def label_of(message: Payload) -> Label | None:
    """Who posted the message is not looked at: other apps can write the same."""
    metadata = table_of(message, "metadata")
    payload = table_of(metadata, "event_payload")
    part = payload.get("part")
    if metadata.get("event_type") != _REPLY or not isinstance(part, int):
        return None
    return Label(text_of(payload, "turn"), part)

"""What Slack delivers, read from what carried it. Total."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qsl

from bot.adapter_support.payloads import Payload, object_in, table_of, text_of

Kind = Literal["event", "interaction", "command"]

_MAX_FIELDS = 100


@dataclass(frozen=True, slots=True)
class Delivery:
    """``payload``: an event with what Slack wraps around it; what a button, a shortcut or a view
    sends; or the fields of a slash command."""

    kind: Kind
    payload: Payload


Deliver = Callable[[Delivery], Awaitable[None]]
"""Returns once the delivery may be acknowledged; raises where Slack must deliver it again."""


@dataclass(frozen=True, slots=True)
class SocketMessage:
    """A message of Socket Mode. ``id`` names what is to be acknowledged, and is else empty;
    ``payload``: what Slack would have sent over HTTP; ``reason``: why it is about to close."""

    type: str
    id: str = ""
    payload: Payload = field(default_factory=dict, repr=False)
    reason: str = ""


def event_id_of(payload: Payload) -> str:
    """The same for each delivery of one event; empty where nothing tells it from others."""
    event = table_of(payload, "event")
    item = table_of(event, "item")
    at = text_of(event, "event_ts") or text_of(event, "ts")
    where = text_of(event, "channel") or text_of(item, "channel") or text_of(event, "user")
    named = f"{text_of(event, 'type')} {where} {at}" if at and where else ""
    return text_of(payload, "event_id") or text_of(payload, "trigger_id") or named


def json_of(body: str) -> str:
    """Of an HTTP body: an event is JSON, an interaction is a form around it, a command is a form.

    Bolt gets JSON always: it takes any form that holds the word for the former form.
    """
    if body.lstrip().startswith("{"):
        return body
    form = _form(body)
    return form.get("payload") or json.dumps(form)


def read_envelope(text: str) -> SocketMessage:
    message = object_in(text)
    return SocketMessage(
        text_of(message, "type"),
        text_of(message, "envelope_id"),
        table_of(message, "payload"),
        text_of(message, "reason"),
    )


def _form(text: str) -> dict[str, str]:
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS))
    except ValueError:
        return {}

"""What Slack delivers, read from what carried it. Total: what is none of the kinds is None."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol
from urllib.parse import parse_qsl

from bot.adapter_support.payloads import Payload, table_of, text_of
from bot.errors import ParleyError

logger = logging.getLogger(__name__)

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


class Receiver(Protocol):
    """A way by which Slack delivers."""

    async def listen(self, deliver: Deliver) -> None:
        """Receive until cancelled; raises ``PlatformError`` if the line is lost.

        A delivery is acknowledged only after ``deliver`` returned.
        """
        ...


@dataclass(frozen=True, slots=True)
class SocketMessage:
    """A message of Socket Mode. ``id`` names what is to be acknowledged, and is else empty;
    ``reason``: why Slack is about to close the connection."""

    type: str
    id: str = ""
    delivery: Delivery | None = None
    reason: str = ""


async def hand_on(delivery: Delivery, deliver: Deliver) -> bool:
    """False where Slack must deliver it again; the reason is in the log, without the message."""
    try:
        await deliver(delivery)
    except ParleyError as error:
        logger.warning("a delivery could not be taken and is asked for again: %s", error)
        return False
    return True


def read_body(body: str) -> Delivery | None:
    """Of a verified HTTP body: JSON is an event, a form an interaction or a command."""
    if body.lstrip().startswith("{"):
        return _event(_json(body))
    form = _form(body)
    if "payload" in form:
        return _interaction(_json(form["payload"]))
    return _command(form)


def read_challenge(body: str) -> str:
    """What Slack wants to read back when somebody gives it the address; else empty."""
    payload = _json(body)
    return text_of(payload, "challenge") if payload.get("type") == "url_verification" else ""


def read_envelope(text: str) -> SocketMessage:
    message = _json(text)
    kind = text_of(message, "type")
    read = _ENVELOPES.get(kind, _nothing)
    delivery = read(table_of(message, "payload"))
    return SocketMessage(
        kind, text_of(message, "envelope_id"), delivery, text_of(message, "reason")
    )


def _nothing(_: Payload) -> None:
    """Slack may send more in envelopes than Parley knows."""


def _event(payload: Payload) -> Delivery | None:
    is_event = payload.get("type") == "event_callback"
    is_typed = bool(text_of(table_of(payload, "event"), "type"))
    return Delivery("event", payload) if is_event and is_typed else None


def _interaction(payload: Payload) -> Delivery | None:
    return Delivery("interaction", payload) if text_of(payload, "type") else None


def _command(payload: Payload) -> Delivery | None:
    return Delivery("command", payload) if text_of(payload, "command") else None


_ENVELOPES: Mapping[str, Callable[[Payload], Delivery | None]] = {
    "events_api": _event,
    "interactive": _interaction,
    "slash_commands": _command,
}


def _json(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _form(text: str) -> dict[str, str]:
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS))
    except ValueError:
        return {}

"""Deliveries as Slack sends them (recorded from local-slack and Slack's documentation)."""

from __future__ import annotations

from typing import Any

from adapters.slack.reading.text import SlackIdentity
from tests.fakes.slack import envelope
from tests.fakes.slack_api import ADA, BOT, CHANNEL, DIRECT, TEAM

Json = dict[str, Any]

ME = SlackIdentity(TEAM, BOT, "parley", "BBOT")
TS, ROOT = "1795154942.000008", "1795154942.000003"


def delivery(event: Json, event_id: str = "Ev1") -> Json:
    return envelope(event, event_id)


def message(text: str = "hello", **more: Any) -> Json:
    """In a channel, outside any thread, unless ``more`` says otherwise."""
    base = {"type": "message", "channel": CHANNEL, "user": ADA, "text": text, "ts": TS}
    return {**base, "event_ts": TS, "channel_type": "channel", **more}


def mention(text: str = f"<@{BOT}> hello", **more: Any) -> Json:
    event = message(text, type="app_mention", **more)
    del event["channel_type"]
    return event


def direct(text: str = "hello", **more: Any) -> Json:
    return message(text, channel=DIRECT, channel_type="im", **more)


def changed(before: str, after: str, **more: Any) -> Json:
    """An edit; ``more`` goes into both versions of the message."""
    version = {"type": "message", "user": ADA, "ts": TS, **more}
    return {
        "type": "message",
        "subtype": "message_changed",
        "hidden": True,
        "channel": CHANNEL,
        "channel_type": "channel",
        "ts": "1795154942.000010",
        "message": {**version, "text": after, "edited": {"user": ADA, "ts": "1795154943.000000"}},
        "previous_message": {**version, "text": before},
    }


def deleted(**more: Any) -> Json:
    before = {"type": "message", "user": ADA, "ts": TS, "text": "oops", **more}
    return {
        "type": "message",
        "subtype": "message_deleted",
        "hidden": True,
        "channel": CHANNEL,
        "channel_type": "channel",
        "ts": "1795154942.000012",
        "deleted_ts": TS,
        "previous_message": before,
    }


def reaction(name: str = "octagonal_sign", **more: Any) -> Json:
    item = {"type": "message", "channel": CHANNEL, "ts": TS}
    base = {"type": "reaction_added", "user": ADA, "reaction": name, "item": item}
    return {**base, "item_user": BOT, "event_ts": "1795154942.000007", **more}


def forward(text: str = "the lift is broken", **more: Any) -> Json:
    """What hangs below a message by which somebody forwards another one."""
    base = {"is_share": True, "is_msg_unfurl": True, "author_id": "U02", "author_name": "Bob"}
    where = {"from_url": "https://acme.slack.com/archives/C02/p1", "channel_id": "C02"}
    told = {"fallback": f"[November 20th, 2026 6:09 AM] bob: {text}", "text": text}
    return {**base, **where, **told, "mrkdwn_in": ["text"], "footer": "Slack Conversation", **more}


def rich(*elements: Json) -> list[Json]:
    """The blocks of a message that says ``elements`` in one line."""
    section = {"type": "rich_text_section", "elements": list(elements)}
    return [{"type": "rich_text", "block_id": "b", "elements": [section]}]


def words(text: str, **style: bool) -> Json:
    return {"type": "text", "text": text, **({"style": style} if style else {})}

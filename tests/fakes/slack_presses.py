"""A press of a button, or a choice from a menu, as Slack delivers it."""

from __future__ import annotations

from tests.fakes.slack_api import BOT, TEAM, Json


def interaction(message: Json, action: Json, ts: str, user: str, channel: str) -> Json:
    """What Slack sends of a press; of a message that only one person sees without that message."""
    is_ephemeral = "user" in message and message["user"] != BOT
    container = {"type": "message", "message_ts": ts, "channel_id": channel}
    thread = {"thread_ts": message["thread_ts"]} if "thread_ts" in message else {}
    whole = {} if is_ephemeral else {"message": {**message, "ts": ts}}
    return {
        "type": "block_actions",
        "user": {"id": user, "username": user.lower(), "name": user.lower(), "team_id": TEAM},
        "api_app_id": "A01",
        "token": "verification",
        "container": {**container, "is_ephemeral": is_ephemeral, **thread},
        "trigger_id": f"{ts}.trigger",
        "team": {"id": TEAM, "domain": "parley"},
        "channel": {"id": channel, "name": "general"},
        **whole,
        "state": {"values": {}},
        "response_url": "https://hooks.slack.com/actions/T01/1/none",
        "actions": [action],
    }

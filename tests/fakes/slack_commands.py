"""Slash commands, shortcuts and forms, as Slack has them: triggers and addresses that expire."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from bot.ports import Clock
from tests.fakes.slack_panel import Refused

Json = dict[str, Any]

TRIGGER_SECONDS = 3.0  # docs, "Handling user interaction": trigger_id expires in three seconds
RESPONSE_SECONDS, RESPONSE_USES = 1800.0, 5  # "its `response_url` allows five uses"
MAX_METADATA = 3000  # docs, "views": private_metadata


@dataclass
class _Address:
    user: str
    channel: str
    until: float
    uses: int = RESPONSE_USES


class FakeCommands:
    """``told``: what people were told at response URLs, as (user, channel, text)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._triggers: dict[str, float] = {}
        self._addresses: dict[str, _Address] = {}
        self._numbers = itertools.count(1)
        self.url = ""
        self.views: list[Json] = []
        self.told: list[tuple[str, str, str]] = []

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/respond/{name}", self._respond)]

    def command(self, text: str, user: str, channel: str) -> Json:
        """ "a slash command has no `ts`", and is "refused by Slack inside threads"."""
        return {
            "command": "/parley",
            "text": text,
            "user_id": user,
            "user_name": user.lower(),
            "channel_id": channel,
            "channel_name": "general",
            "team_id": "T01",
            "api_app_id": "A01",
            **self._means(user, channel),
        }

    def shortcut(self, message: Json, user: str, callback_id: str) -> Json:
        channel = message["channel"]
        return {
            "type": "message_action",
            "callback_id": callback_id,
            "user": {"id": user, "name": user.lower(), "team_id": "T01"},
            "team": {"id": "T01", "domain": "parley"},
            "channel": {"id": channel, "name": "general"},
            "message": {key: value for key, value in message.items() if key != "channel"},
            "message_ts": message["ts"],
            "action_ts": message["ts"],
            **self._means(user, channel),
        }

    def submission(self, view: Json, typed: str | None, user: str) -> Json:
        (field,) = (block for block in view["blocks"] if block["type"] == "input")
        action = field["element"]["action_id"]
        answer = {"type": "plain_text_input", "value": typed}
        return {
            "type": "view_submission",
            "user": {"id": user, "name": user.lower(), "team_id": "T01"},
            "team": {"id": "T01", "domain": "parley"},
            "view": {**view, "state": {"values": {field["block_id"]: {action: answer}}}},
            "response_urls": [],
        }

    def open(self, arguments: Json) -> Json:
        until = self._triggers.pop(arguments["trigger_id"], None)
        if until is None:
            raise Refused("invalid_trigger_id")
        if self._clock.monotonic() >= until:
            raise Refused("expired_trigger_id")
        view = arguments["view"]
        texts = [view["title"], view["submit"], view["close"]]
        is_whole = view["type"] == "modal" and all(len(each["text"]) <= 24 for each in texts)
        if not is_whole or len(view["private_metadata"]) > MAX_METADATA:
            raise Refused("invalid_arguments")
        self.views.append({**view, "id": f"V{next(self._numbers)}"})
        return {"view": self.views[-1]}

    def _means(self, user: str, channel: str) -> Json:
        name, now = f"{next(self._numbers)}", self._clock.monotonic()
        self._triggers[name] = now + TRIGGER_SECONDS
        self._addresses[name] = _Address(user, channel, now + RESPONSE_SECONDS)
        return {"trigger_id": name, "response_url": f"{self.url}/respond/{name}"}

    async def _respond(self, request: web.Request) -> web.Response:
        assert "Authorization" not in request.headers, "a response_url needs no token"
        address = self._addresses[request.match_info["name"]]
        if not address.uses or self._clock.monotonic() >= address.until:
            return web.json_response({"ok": False, "error": "used_url"}, status=404)
        body = await request.json()
        assert body["response_type"] == "ephemeral"
        address.uses -= 1
        self.told.append((address.user, address.channel, body["text"]))
        return web.Response(text="ok")

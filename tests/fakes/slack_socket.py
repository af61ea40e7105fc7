"""Socket Mode as Slack serves it: addresses for one use, hello, envelopes, acknowledgements."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from tests.fakes.slack_api import Json

APP_TOKEN = "xapp-fake"
ACK_SECONDS = 3.0  # "Ack within 3 s, or Slack delivers again"


@dataclass(eq=False, slots=True)
class Line:
    """One connection; ``acks``: envelope id -> the acknowledgement that is waited for."""

    websocket: web.WebSocketResponse
    request: web.Request
    acks: dict[str, asyncio.Future[bool]] = field(default_factory=dict)

    async def say(self, message: Json) -> None:
        await self.websocket.send_str(json.dumps(message))

    async def announce(self, reason: str) -> None:
        """What Slack says some seconds before it closes the connection."""
        await self.say({"type": "disconnect", "reason": reason, "debug_info": {"host": "fake"}})

    def drop(self) -> None:
        if self.request.transport is not None:
            self.request.transport.abort()

    async def hand_over(self, envelope: Json, seconds: float) -> bool:
        """Whether the envelope was acknowledged before the line was lost, and in time."""
        acknowledged = asyncio.get_running_loop().create_future()
        self.acks[envelope["envelope_id"]] = acknowledged
        try:
            await self.say(envelope)
            async with asyncio.timeout(seconds):
                return bool(await acknowledged)
        except (TimeoutError, ConnectionError):
            return False
        finally:
            self.acks.pop(envelope["envelope_id"], None)

    def lost(self) -> None:
        for acknowledged in self.acks.values():
            if not acknowledged.done():
                acknowledged.set_result(False)


class FakeSocketMode:
    """``violations``: what Slack would refuse or ignore; ``num_acks``: of each envelope once."""

    def __init__(self, violations: list[str]) -> None:
        self.violations = violations
        self.lines: list[Line] = []
        self.num_lines = 0
        self.num_acks = 0
        self.greets = True
        self._tickets = (f"ticket-{n}" for n in itertools.count(1))
        self._issued: set[str] = set()
        self._numbers = itertools.count(1)
        self._changed = asyncio.Event()

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/link/{ticket}", self._serve)]

    def address(self, api_url: str) -> str:
        """For one connection, as the page of `apps.connections.open` says."""
        ticket = next(self._tickets)
        self._issued.add(ticket)
        return f"{api_url.replace('http', 'ws', 1).removesuffix('api/')}link/{ticket}"

    async def connected(self, num_lines: int = 1) -> Line:
        """Wait until so many connections were made in all and one stands; the newest."""
        while self.num_lines < num_lines or not self.lines:
            self._changed.clear()
            await self._changed.wait()
        return self.lines[-1]

    async def has_at_most(self, num_lines: int) -> None:
        """Wait until no more connections stand."""
        while len(self.lines) > num_lines:
            self._changed.clear()
            await self._changed.wait()

    async def deliver(
        self, kind: str, payload: Json, *, attempt: int = 0, seconds: float = ACK_SECONDS
    ) -> bool:
        """Over the newest connection; whether it was acknowledged."""
        envelope: dict[str, Any] = {
            "type": kind,
            "envelope_id": f"envelope-{next(self._numbers)}",
            "payload": payload,
            "accepts_response_payload": kind != "events_api",
        }
        if kind == "events_api":
            envelope |= {"retry_attempt": attempt, "retry_reason": "timeout" if attempt else ""}
        line = await self.connected()
        return await line.hand_over(envelope, seconds)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if request.match_info["ticket"] not in self._issued:
            return web.Response(status=403)
        self._issued.discard(request.match_info["ticket"])
        websocket = web.WebSocketResponse()
        await websocket.prepare(request)
        line = Line(websocket, request)
        if self.greets:
            await line.say({"type": "hello", "num_connections": len(self.lines) + 1})
        self._note(self.lines.append, line)
        self.num_lines += 1
        try:
            async for message in websocket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    self._acknowledged(line, message.json())
        finally:
            self._note(self.lines.remove, line)
            line.lost()
        return websocket

    def _note(self, change: Callable[[Line], None], line: Line) -> None:
        change(line)
        self._changed.set()

    def _acknowledged(self, line: Line, message: Json) -> None:
        acknowledged = line.acks.get(message.get("envelope_id", ""))
        if acknowledged is None or acknowledged.done():
            self.violations.append(f"acknowledged what was not sent here: {message}")
            return
        self.num_acks += 1
        acknowledged.set_result(True)

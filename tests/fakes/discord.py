"""A strict small Discord on a loopback socket: REST with faults and rate limits, a gateway,
and people whose actions become events. All traffic is checked against Discord's OpenAPI.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web

from bot.clock import SystemClock
from bot.ports import Clock
from tests.fakes.discord_guild import Json, Refused
from tests.fakes.discord_openapi import problem_with, problem_with_answer
from tests.fakes.discord_people import TOKEN
from tests.fakes.discord_rest import (
    CALLBACK,
    DELETE,
    EDIT,
    EDIT_ORIGINAL,
    FOLLOW_UP,
    SEND,
    THREAD,
    FakeRest,
)

__all__ = [
    "CALLBACK",
    "DELETE",
    "DROPS",
    "DROPS_AFTER",
    "EDIT",
    "EDIT_ORIGINAL",
    "FAILS",
    "FOLLOW_UP",
    "HANGS",
    "OVERLOADED",
    "SEND",
    "THREAD",
    "TOKEN",
    "FakeDiscord",
    "Fault",
    "banned",
    "rate_limited",
]


@dataclass(frozen=True, slots=True)
class Fault:
    """How one call fails. ``happens``: it takes effect nevertheless."""

    status: int = 0
    body: Json | str = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    drops: bool = False
    hangs: bool = False
    happens: bool = False


FAILS = Fault(500, {"message": "Internal Server Error", "code": 0})
OVERLOADED = Fault(503, "upstream connect error")
DROPS = Fault(drops=True)
DROPS_AFTER = Fault(drops=True, happens=True)
HANGS = Fault(hangs=True)


def rate_limited(seconds: float, *, is_global: bool = False) -> Fault:
    """A 429 of Discord's own, which names the seconds to wait."""
    body = {"message": "You are being rate limited.", "retry_after": seconds, "global": is_global}
    return Fault(429, body, {"Via": "1.1 google", "Retry-After": str(seconds)})


def banned(seconds: float) -> Fault:
    """A 429 of a proxy in front of Discord, without ``Via``."""
    return Fault(429, "error code: 1015", {"Retry-After": str(seconds)})


@dataclass(frozen=True, slots=True)
class Call:
    """One call as it arrived; ``at`` is monotonic."""

    route: str
    ids: Mapping[str, str]
    body: Any
    at: float


class FakeDiscord(FakeRest):
    """``bucket``: message calls per channel in ``bucket_seconds``; more are refused, counted."""

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        message_content: bool = True,
        bucket: int = 1000,
        bucket_seconds: float = 5.0,
        num_shards: int = 1,
    ) -> None:
        super().__init__(
            clock or SystemClock(), message_content=message_content, num_shards=num_shards
        )
        self.calls: list[Call] = []
        self.num_fetched = 0
        self.serves_files = asyncio.Event()
        self.serves_files.set()
        self.num_rate_limited = 0
        self.max_in_flight = 0
        self.latency = 0.0
        self._bucket, self._bucket_seconds = bucket, bucket_seconds
        self._recent: defaultdict[str, deque[float]] = defaultdict(deque)
        self._in_flight: Counter[str] = Counter()
        self._faults: defaultdict[str, deque[Fault]] = defaultdict(deque)

    async def __aenter__(self) -> Self:
        application = web.Application(client_max_size=32 * 1024 * 1024)
        for route, action in self.routes().items():
            verb, path = route.split(" ")
            application.router.add_route(verb, f"/api/v10{path}", self._served(route, action))
        application.router.add_get("/", self.gateway.serve)
        application.router.add_get("/files/{name}", self._file)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        port = self._runner.addresses[0][1]
        self.api_url = f"http://127.0.0.1:{port}/api/v10"
        self.gateway_url = f"ws://127.0.0.1:{port}/"
        self.files_url = f"http://127.0.0.1:{port}/files"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.gateway.close(1001)
        await self._runner.cleanup()

    # What a test arranges and sees

    def fail(self, route: str, *faults: Fault) -> None:
        """The next calls of ``route``, one fault each; then it works again."""
        self._faults[route].extend(faults)

    def num_faults(self, route: str) -> int:
        """Faults that have not happened yet."""
        return len(self._faults[route])

    def num_calls(self, route: str) -> int:
        return sum(call.route == route for call in self.calls)

    async def says(self, text: str, channel: str, seconds: float = 20.0) -> str:
        """Until a message of the bot in this channel reads so; its id."""
        await self.until(lambda: text in self.texts(channel), seconds)
        return next(
            str(m["id"])
            for m in self.messages.values()
            if m["channel_id"] == channel and m["content"] == text
        )

    def _served(self, route: str, action: Callable[..., Any]) -> Callable[..., Any]:
        async def serve(request: web.Request) -> web.StreamResponse:
            ids = dict(request.match_info)
            lane = ids.get("channel_id") or ids.get("webhook_token") or ""
            self._in_flight[lane] += 1
            try:
                if lane and route in (SEND, EDIT, EDIT_ORIGINAL):
                    self.max_in_flight = max(self.max_in_flight, self._in_flight[lane])
                return await self._serve(request, route, action, ids)
            finally:
                self._in_flight[lane] -= 1

        return serve

    async def _serve(
        self, request: web.Request, route: str, action: Callable[..., Any], ids: Json
    ) -> web.StreamResponse:
        body = await self._body(request)
        self.calls.append(Call(route, ids, body, self.clock.monotonic()))
        if self.latency:
            await asyncio.sleep(self.latency)
        verb, path = route.split(" ")
        if problem := problem_with(verb, path, body, request.query):
            self.violations.append(problem)
        fault = self._faults[route].popleft() if self._faults[route] else None
        if fault is None or fault.happens:
            status, answer, headers = self._outcome(request, route, action, ids, body)
            if problem := problem_with_answer(verb, path, status, answer):
                self.violations.append(problem)
        if fault is None:
            return _response(answer, status, headers)
        return await self._break(request, fault)

    async def _body(self, request: web.Request) -> Any:
        """The JSON of a body; files of a form go to ``files``."""
        if not request.can_read_body:
            return None
        if request.content_type != "multipart/form-data":
            return await request.json()
        form = await request.post()
        for field_ in form.values():
            if isinstance(field_, web.FileField):
                self.files[field_.filename] = field_.file.read()
        return json.loads(str(form["payload_json"]))

    async def _break(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        if fault.hangs:
            await asyncio.Event().wait()
        if fault.drops:
            assert request.transport is not None
            request.transport.close()
        is_json = isinstance(fault.body, dict)
        text = json.dumps(fault.body) if is_json else str(fault.body)
        kind = "application/json" if is_json else "text/html"
        return web.Response(
            status=fault.status or 500,
            body=text.encode(),
            headers={"Content-Type": kind, **fault.headers},
        )

    def _outcome(
        self, request: web.Request, route: str, action: Callable[..., Any], ids: Json, body: Any
    ) -> tuple[int, Any, Mapping[str, str]]:
        """Status, body and headers of the answer."""
        try:
            self._check_token(request, route)
            headers = self._charge(route, ids)
            found = action(ids, body, request.query)
        except Refused as refusal:
            extra = {"Via": "1.1 google"} if refusal.status == 429 else {}
            return refusal.status, refusal.body, extra
        status = 201 if route == THREAD else 200
        return 204 if found is None else status, found, headers

    def _check_token(self, request: web.Request, route: str) -> None:
        given = request.headers.get("Authorization")
        if "/webhooks/" in route or "/interactions/" in route:
            if given is not None:
                self.violations.append(f"{route} with a token that it does not need")
        elif given != f"Bot {TOKEN}":
            raise Refused(401, 0, "401: Unauthorized")

    def _charge(self, route: str, ids: Json) -> dict[str, str]:
        if route not in (SEND, EDIT):
            return {}
        now, recent = self.clock.monotonic(), self._recent[ids["channel_id"]]
        while recent and recent[0] <= now - self._bucket_seconds:
            recent.popleft()
        if len(recent) >= self._bucket:
            self.num_rate_limited += 1
            wait = recent[0] + self._bucket_seconds - now
            refusal = Refused(429, 0, "You are being rate limited.")
            refusal.body |= {"retry_after": wait, "global": False}
            raise refusal
        recent.append(now)
        left = recent[0] + self._bucket_seconds - now
        return {
            "X-RateLimit-Limit": str(self._bucket),
            "X-RateLimit-Remaining": str(self._bucket - len(recent)),
            "X-RateLimit-Reset": str(self.clock.now().timestamp() + left),
            "X-RateLimit-Reset-After": str(left),
            "X-RateLimit-Bucket": "messages",
        }

    async def _file(self, request: web.Request) -> web.Response:
        if "Authorization" in request.headers:
            self.violations.append("a file was fetched with the token")
        self.num_fetched += 1
        await self.serves_files.wait()
        return web.Response(body=self.files[request.match_info["name"]])


def _response(found: Any, status: int, headers: Mapping[str, str]) -> web.Response:
    """Discord's content type has no charset, and discord.py compares it as a whole."""
    if found is None:
        return web.Response(status=status, headers=headers)
    kind = {"Content-Type": "application/json"}
    return web.Response(body=json.dumps(found).encode(), status=status, headers={**headers, **kind})

"""A strict small Teams on a loopback socket: issuer, tokens, conversations, and deliveries."""

from __future__ import annotations

import asyncio
import io
import json
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import aiohttp
from aiohttp import web

from bot.clock import SystemClock
from bot.ports import Clock
from tests.fakes.teams_activities import APP, TENANT
from tests.fakes.teams_api import FakeTeamsApi
from tests.fakes.teams_issuer import SECRET, FakeIssuer

Json = dict[str, Any]
_METHODS = {"POST": "post", "PUT": "edit", "DELETE": "delete"}


@dataclass(frozen=True, slots=True)
class Fault:
    """What becomes of one call. ``happens``: it takes effect nevertheless."""

    status: int = 200
    code: str = ""
    message: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    drops: bool = False
    hangs: bool = False
    happens: bool = False
    body: str | None = None

    @property
    def is_ambiguous(self) -> bool:
        return self.drops or self.hangs or self.status in (500, 502, 503, 504)


def rate_limited(seconds: float = 3) -> Fault:
    return Fault(429, "TooManyRequests", headers={"Retry-After": str(seconds)})


FAILS = Fault(502, body="<html>oops</html>")
FAILS_AFTER = Fault(502, body="<html>oops</html>", happens=True)
DROPS = Fault(drops=True)
DROPS_AFTER = Fault(drops=True, happens=True)
HANGS = Fault(hangs=True)


class FakeTeams(FakeTeamsApi):
    """Faults are put before calls with ``fail``; ``deliver`` sends what people do.

    ``files`` are served by their names, ``moved`` ones lead elsewhere; while ``may_serve`` is
    not set nobody gets any. ``is_strict``: a text posted again after an ambiguous answer is a
    violation.
    """

    def __init__(self, clock: Clock | None = None, *, is_strict: bool = True) -> None:
        super().__init__(clock or SystemClock())
        self.issuer = FakeIssuer(self.clock)
        self.is_strict = is_strict
        self.takes_anonymous = False
        self.bot_url = ""
        self.calls: list[tuple[str, str, Json]] = []
        self.files: dict[str, bytes] = {}
        self.moved: dict[str, str] = {}
        self.num_fetched = 0
        self.may_serve = asyncio.Event()
        self.may_serve.set()
        self._faults: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self._ambiguous: set[tuple[str, str]] = set()

    async def __aenter__(self) -> Self:
        application = web.Application(client_max_size=4 * 1024 * 1024)
        application.router.add_routes(self.issuer.routes())
        path = "/v3/conversations/{conversation}/activities"
        application.router.add_post(path, self._serve)
        application.router.add_route("*", path + "/{message}", self._serve)
        application.router.add_get("/v3/attachments/{name}", self._serve_file)
        application.router.add_get("/files/{name}", self._serve_file)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.host = f"127.0.0.1:{self._runner.addresses[0][1]}"
        self.url = f"http://{self.host}/"
        self._session = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()
        await self._runner.cleanup()

    def settings(self, **more: str) -> dict[str, str]:
        """The ``[teams]`` table of a bot that talks to this server."""
        return {
            "app_id": APP,
            "app_password": SECRET,
            "tenant_id": TENANT,
            "openid_metadata_url": f"{self.url}openid",
            "token_url": f"{self.url}token",
            "service_hosts": self.host,
        } | more

    def fail(self, method: str, *faults: Fault) -> None:
        """The next calls of ``post``, ``edit``, ``delete`` or ``stream``, one fault each."""
        self._faults[method].extend(faults)

    def num_made(self, method: str) -> int:
        return sum(made == method for made, _, _ in self.calls)

    async def deliver(self, activity: Json, **token: Any) -> int:
        """Deliver as Teams does; the bot's status."""
        return (await self.request(activity, **token))[0]

    async def request(self, activity: Json, **token: Any) -> tuple[int, str]:
        """Status and body. ``token`` as in ``FakeIssuer.sign``."""
        signed = self.issuer.sign(token.pop("service_url", activity.get("serviceUrl")), **token)
        return await self.send(activity, {"Authorization": f"Bearer {signed}"})

    async def send(self, body: object, headers: Mapping[str, str]) -> tuple[int, str]:
        """Whatever one likes, as a stranger would."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", **headers}
        async with self._session.post(
            self.bot_url, headers=headers, data=io.BytesIO(content)
        ) as response:
            return response.status, await response.text()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        conversation = request.match_info["conversation"]
        body: Json = await request.json() if request.can_read_body else {}
        method = _METHODS[request.method]
        if method == "post" and body["type"] == "typing":
            method = "stream" if body.get("entities") else "typing"
        if not (self.takes_anonymous or self._is_signed(request)):
            return web.json_response({"error": {"code": "Unauthorized"}}, status=401)
        self._check_repeat(method, conversation, body)
        self.calls.append((method, conversation, body))
        fault = self._faults[method].popleft() if self._faults[method] else Fault()
        return await self._answer(request, conversation, body, method, fault)

    async def _answer(
        self, request: web.Request, conversation: str, body: Json, method: str, fault: Fault
    ) -> web.StreamResponse:
        is_broken = fault != Fault()
        if is_broken and fault.is_ambiguous and method == "post":
            self._ambiguous.add((conversation, str(body.get("text"))))
        answer: tuple[int, Json] = (fault.status, {"error": {"code": fault.code}})
        if fault.message:
            answer[1]["error"]["message"] = fault.message
        if not is_broken or fault.happens:
            message_id = request.match_info.get("message", "")
            answer = self.call(request.method, conversation, message_id, body)
        return await self._respond(request, answer, fault)

    async def _respond(
        self, request: web.Request, answer: tuple[int, Json], fault: Fault
    ) -> web.StreamResponse:
        if fault.hangs:
            await asyncio.sleep(3600)
        if fault.drops:
            assert request.transport is not None
            request.transport.abort()
        if fault.body is not None:
            headers = {"Content-Type": "application/json"}
            return web.Response(status=fault.status, text=fault.body, headers=headers)
        headers = dict(fault.headers)
        if answer[0] == 429:
            headers.setdefault("Retry-After", "1")
        return web.json_response(answer[1], status=answer[0], headers=headers)

    async def _serve_file(self, request: web.Request) -> web.Response:
        """What the connector keeps wants the token; what a store keeps must never get it."""
        self.num_fetched += 1
        await self.may_serve.wait()
        is_kept_here = request.path.startswith("/v3/")
        if is_kept_here and not self._is_signed(request):
            return web.Response(status=401)
        if not is_kept_here and "Authorization" in request.headers:
            self.violations.append("the token was sent to a store of files")
        name = request.match_info["name"]
        if name in self.moved:
            return web.Response(status=302, headers={"Location": self.moved[name]})
        content = self.files.get(name)
        return web.Response(status=404) if content is None else web.Response(body=content)

    def _is_signed(self, request: web.Request) -> bool:
        header = request.headers.get("Authorization", "")
        if not header:
            self.violations.append("a call without a token")
        return self.issuer.is_good(header)

    def _check_repeat(self, method: str, conversation: str, body: Json) -> None:
        is_repeat = (conversation, str(body.get("text"))) in self._ambiguous
        if method == "post" and self.is_strict and is_repeat:
            self.violations.append("a second post after an ambiguous answer")

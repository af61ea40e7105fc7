"""A strict small Slack on a loopback socket: the Web API with faults, and the sender of events."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import io
import itertools
import json
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import format_datetime
from typing import Self
from urllib.parse import urlencode

import aiohttp
from aiohttp import web

from bot.clock import SystemClock
from bot.ports import Clock
from tests.fakes import slack_files
from tests.fakes.slack_api import ADA, BOT, CHANNEL, DIRECT, TEAM, WORKFLOW, FakeWorkspace, Json
from tests.fakes.slack_blocks import pressed
from tests.fakes.slack_panel import Refused
from tests.fakes.slack_presses import interaction
from tests.fakes.slack_socket import APP_TOKEN, FakeSocketMode

TOKEN, SECRET = "xoxb-fake", "signing-secret"


@dataclass(frozen=True, slots=True)
class Fault:
    """What becomes of one call. ``happens``: it takes effect nevertheless.

    ``hangs``: no answer until ``until`` is set, or ever. ``when``: it waits for a call whose
    arguments are such, and lets the others pass.
    """

    status: int = 200
    error: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    drops: bool = False
    hangs: bool = False
    happens: bool = False
    body: str | None = None
    until: asyncio.Event | None = None
    when: Callable[[Json], bool] | None = None


def rate_limited(seconds: float = 3) -> Fault:
    return Fault(429, "ratelimited", {"Retry-After": str(seconds)})


FAILS = Fault(500, body="<html>oops</html>")
FAILS_AFTER = Fault(500, body="<html>oops</html>", happens=True)
DROPS = Fault(drops=True)
DROPS_AFTER = Fault(drops=True, happens=True)
HANGS = Fault(hangs=True)


@dataclass(frozen=True, slots=True)
class Call:
    """One call as it came in; ``at`` is monotonic."""

    method: str
    arguments: Json
    at: float


class FakeSlack(FakeWorkspace):
    """Faults are put before calls with ``fail``; people act through ``say`` and its like.

    ``shown``: (monotonic time, ts, text) of every text a person ever saw, in order.
    ``echoes``: Parley is sent its own posts and edits.
    """

    def __init__(self, clock: Clock | None = None, *, update_limit: int = 50) -> None:
        super().__init__(clock or SystemClock(), update_limit)
        self.events_url = ""
        self.socket = FakeSocketMode(self.violations)
        self.uses_socket_mode = False
        self.calls: list[Call] = []
        self._faults: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self._event_numbers = itertools.count(1)
        self.echoes = False
        self._own_doings: asyncio.Queue[Json] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        application = web.Application(client_max_size=4 * 1024 * 1024)
        application.router.add_route("*", "/api/{method}", self._serve)
        application.router.add_get(slack_files.PATH, self.shelf.serve)
        application.router.add_routes(self.socket.routes())
        application.router.add_routes(self.commands.routes())
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.api_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/api/"
        self.shelf.url = self.commands.url = self.api_url.removesuffix("/api/")
        self._session = aiohttp.ClientSession()
        self._echoing = asyncio.create_task(self._send_echoes())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._echoing.cancel()
        await self._session.close()
        await self._runner.cleanup()

    @property
    def way_of_delivering(self) -> dict[str, str]:
        """What makes Parley receive what this Slack delivers."""
        if self.uses_socket_mode:
            return {"SLACK_APP_TOKEN": APP_TOKEN}
        return {"SLACK_SIGNING_SECRET": SECRET}

    # What a test arranges and sees

    def fail(self, method: str, *faults: Fault) -> None:
        """The next calls of ``method``, one fault each; then it works again."""
        self._faults[method].extend(faults)

    def heal(self, method: str) -> None:
        """It works again, whatever was arranged."""
        self._faults[method].clear()

    def num_calls(self, method: str) -> int:
        return sum(call.method == method for call in self.calls)

    def be_strict(self) -> None:
        """As Slack is with an app that runs: echoes, and a limit for every call."""
        self.echoes = self.rates.counts_all = True

    def echo(self, event: Json) -> None:
        """What local-slack lacks: "echo of the bot's own posts and edits"."""
        if self.echoes:
            self._own_doings.put_nowait(event)

    async def _send_echoes(self) -> None:
        """In order; what Parley is not there to take is lost."""
        while True:
            event = await self._own_doings.get()
            with suppress(aiohttp.ClientError):
                await self.deliver(event)

    # People, whose doings become events

    async def say(
        self,
        text: str,
        *,
        user: str = ADA,
        channel: str = CHANNEL,
        thread_ts: str | None = None,
        retries: int = 0,
        files: Sequence[Json] = (),
    ) -> str:
        """Post as a person.

        "One mention in a channel arrives as both `app_mention` and `message` with different
        `event_id` and the same `ts`".
        """
        thread = {"thread_ts": thread_ts} if thread_ts else {}
        shared: Json = {"subtype": "file_share", "files": list(files)} if files else {}
        message = {"type": "message", "user": user, "text": text, "channel": channel}
        return await self._post({**message, **thread, **shared}, retries)

    async def run_workflow(
        self,
        text: str,
        *,
        bot_id: str = WORKFLOW,
        channel: str = CHANNEL,
        thread_ts: str | None = None,
    ) -> str:
        """As a workflow's step *Send a message* does: its message has no user."""
        message: Json = {"type": "message", "subtype": "bot_message", "bot_id": bot_id}
        message |= {"username": "Stand-up", "workflow_id": "Wf01", "app_id": "A02"}
        message |= {"thread_ts": thread_ts} if thread_ts else {}
        return await self._post({**message, "text": text, "channel": channel})

    async def _post(self, message: Json, retries: int = 0) -> str:
        channel = message["channel"]
        ts = self.keep(message)
        message = self.messages[channel, ts]
        kind = "im" if channel.startswith("D") else "channel"
        events = [{**message, "channel_type": kind, "event_ts": ts}]
        if f"<@{BOT}>" in message["text"] and kind == "channel":
            events.append({**message, "type": "app_mention", "event_ts": ts})
        await asyncio.gather(*(self.deliver(event, retries=retries) for event in events))
        return ts

    async def react(self, ts: str, name: str, *, user: str = ADA, channel: str = CHANNEL) -> int:
        item = {"type": "message", "channel": channel, "ts": ts}
        return await self.deliver(
            {"type": "reaction_added", "user": user, "reaction": name, "item": item}
        )

    async def unreact(self, ts: str, name: str, *, user: str = ADA, channel: str = CHANNEL) -> int:
        item = {"type": "message", "channel": channel, "ts": ts}
        return await self.deliver(
            {"type": "reaction_removed", "user": user, "reaction": name, "item": item}
        )

    async def press(self, ts: str, title: str, *, user: str = ADA, channel: str = CHANNEL) -> int:
        """Press a button, or choose from a menu; of a message that only they see, too."""
        whisper = next((each for each in self.whispers if each["ts"] == ts), None)
        message = whisper or self.messages[channel, ts]
        at = self._now()
        return await self.interact(
            interaction(message, pressed(message["blocks"], title, at), ts, user, channel)
        )

    async def command(self, text: str, *, user: str = ADA, channel: str = CHANNEL) -> int:
        """Type ``/parley`` and the text."""
        fields = self.commands.command(text, user, channel)
        if self.uses_socket_mode:
            return 200 if await self.socket.deliver("slash_commands", fields) else 500
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return await self.send(urlencode(fields), headers=kind)

    async def choose_shortcut(
        self, ts: str, callback_id: str, *, user: str = ADA, channel: str = CHANNEL
    ) -> int:
        """From the menu of a message."""
        message = self.messages[channel, ts]
        return await self.interact(self.commands.shortcut(message, user, callback_id))

    async def submit(self, typed: str | None = None, *, user: str = ADA) -> int:
        """Send the form that was opened last."""
        return await self.interact(self.commands.submission(self.commands.views[-1], typed, user))

    async def interact(self, payload: Json) -> int:
        """Send the payload of an interaction, which Slack sends as a form."""
        form = urlencode({"payload": json.dumps(payload)})
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return await self.send(form, headers=kind)

    async def open_home(self, tab: str, *, user: str = ADA, channel: str = DIRECT) -> int:
        return await self.deliver(
            {"type": "app_home_opened", "user": user, "channel": channel, "tab": tab}
        )

    async def start_assistant(self, *, user: str = ADA, channel: str = DIRECT) -> str:
        """Open the panel of an app that is no agent yet; the thread's ts."""
        self.is_agent = False
        root = {"type": "message", "subtype": "assistant_app_thread", "user": user}
        ts = self.keep({**root, "text": "New Assistant Thread", "channel": channel})
        self.assistant_threads.add((channel, ts))
        thread = {"user_id": user, "channel_id": channel, "thread_ts": ts, "context": {}}
        await self.deliver({"type": "assistant_thread_started", "assistant_thread": thread})
        return ts

    async def change(self, ts: str, text: str, *, channel: str = CHANNEL, **more: object) -> int:
        """ "An edit of a message fires again with the same `ts`"."""
        before = dict(self.messages[channel, ts])
        self.messages[channel, ts] |= {"text": text, **more}
        now = dict(self.messages[channel, ts])
        event = {"type": "message", "subtype": "message_changed", "channel": channel}
        return await self.deliver({**event, "message": now, "previous_message": before})

    async def unfurl(self, ts: str, link: str, *, channel: str = CHANNEL) -> int:
        """ "Unfurling a link in a question fires `message_changed` with unchanged text"."""
        preview = {"id": 1, "from_url": link, "title": "A page", "text": "What the page says."}
        text = self.messages[channel, ts]["text"]
        return await self.change(ts, text, channel=channel, attachments=[preview])

    async def erase(self, ts: str, *, channel: str = CHANNEL) -> int:
        """Recorded: a root that has replies is changed into a tombstone, of Slack's own bot."""
        before = self.messages.pop((channel, ts))
        event = {"type": "message", "hidden": True, "channel": channel, "previous_message": before}
        if not self.thread(ts, channel):
            return await self.deliver({**event, "subtype": "message_deleted", "deleted_ts": ts})
        tomb = {"type": "message", "subtype": "tombstone", "user": "USLACKBOT", "hidden": True}
        tomb |= {"text": "This message was deleted.", "ts": ts, "thread_ts": ts}
        self.messages[channel, ts] = {**tomb, "channel": channel}
        return await self.deliver({**event, "subtype": "message_changed", "message": tomb})

    async def deliver(self, event: Json, *, event_id: str | None = None, retries: int = 0) -> int:
        """Send an event, again while it is not answered 200; the last status.

        "Retries carry the same `event_id`", and "headers `X-Slack-Retry-Num`, `-Reason`".
        """
        payload = envelope(event, event_id or f"Ev{next(self._event_numbers):08}")
        body = json.dumps(payload)
        for attempt in range(retries + 1):
            retry = {"X-Slack-Retry-Num": str(attempt), "X-Slack-Retry-Reason": "http_error"}
            status = await self.hand_over(body, headers=retry if attempt else None)
            if status == 200:
                break
        return status

    async def hand_over(self, event: str, *, headers: Mapping[str, str] | None = None) -> int:
        """Send an event by the way that is in use; 500 if it is not acknowledged."""
        if not self.uses_socket_mode:
            return await self.send(event, headers=headers)
        attempt = int((headers or {}).get("X-Slack-Retry-Num", "0"))
        is_taken = await self.socket.deliver("events_api", json.loads(event), attempt=attempt)
        return 200 if is_taken else 500

    async def send(
        self,
        body: str | bytes,
        *,
        secret: str = SECRET,
        age: float = 0,
        headers: Mapping[str, str] | None = None,
    ) -> int:
        """Deliver raw bytes, signed with ``secret`` as of ``age`` seconds ago."""
        raw = body.encode() if isinstance(body, str) else body
        signed = {**self.signed(raw, secret=secret, age=age), **(headers or {})}
        async with self._session.post(
            self.events_url, data=io.BytesIO(raw), headers=signed
        ) as answer:
            await answer.read()
            return answer.status

    def signed(self, body: bytes, *, secret: str = SECRET, age: float = 0) -> dict[str, str]:
        """Slack's headers: "HMAC-SHA256 over `v0:timestamp:body`"; not with the SDK."""
        timestamp = str(int(self.clock.now().timestamp() - age))
        base = b"v0:" + timestamp.encode() + b":" + body
        digest = hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()
        return {
            "Content-Type": "application/json",
            "X-Slack-Request-Timestamp": timestamp,
            "X-Slack-Signature": f"v0={digest}",
        }

    # The Web API

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        body = await request.json() if request.can_read_body else {}
        arguments = {**request.query, **body}
        self.calls.append(Call(method, arguments, self.clock.monotonic()))
        self.rates.look_at(method, arguments)
        fault = self._next_fault(method, arguments)
        if fault is None:
            return self._answer(request, method, arguments)
        if fault.happens:
            self._answer(request, method, arguments)
        if "Retry-After" in fault.headers:
            self.rates.pause(method, arguments, float(fault.headers["Retry-After"]))
        return await self._break(request, fault)

    def _next_fault(self, method: str, arguments: Json) -> Fault | None:
        faults = self._faults[method]
        fault = next((each for each in faults if each.when is None or each.when(arguments)), None)
        if fault is not None:
            faults.remove(fault)
        return fault

    async def _break(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        if fault.hangs:
            await (fault.until or asyncio.Event()).wait()
        if fault.drops:
            assert request.transport is not None
            request.transport.close()
        text = fault.body or json.dumps({"ok": not fault.error, "error": fault.error})
        is_json = fault.body is None or fault.body.startswith("{")
        kind = "application/json" if is_json else "text/html"
        return web.Response(
            status=fault.status, text=text, content_type=kind, headers=fault.headers
        )

    def _answer(self, request: web.Request, method: str, arguments: Json) -> web.Response:
        try:
            is_app = method == "apps.connections.open"
            if request.headers.get("Authorization") != f"Bearer {APP_TOKEN if is_app else TOKEN}":
                raise Refused("invalid_auth")
            if is_app:
                return web.json_response({"ok": True, "url": self.socket.address(self.api_url)})
            answer = {"ok": True, **self.call(method, arguments)}
            # docs, "Authentication, OAuth scopes": the scopes of the token, with each answer
            told = {"x-oauth-scopes": ",".join(self.scopes)}
            told["Date"] = format_datetime(self.clock.now(), usegmt=True)
            return web.json_response(answer, headers=told)
        except Refused as refusal:
            answer = {"ok": False, "error": str(refusal)}
            if answer["error"] != "ratelimited":
                return web.json_response(answer)
            retry_after = {"Retry-After": str(refusal.retry_after)}
            return web.json_response(answer, status=429, headers=retry_after)


def envelope(event: Json, event_id: str) -> Json:
    """What Slack wraps around an event."""
    authorization = {"team_id": TEAM, "user_id": BOT, "is_bot": True}
    return {
        "type": "event_callback",
        "team_id": TEAM,
        "api_app_id": "A01",
        "event_id": event_id,
        "event_time": 1_700_000_000,
        "authorizations": [authorization],
        "event": event,
    }

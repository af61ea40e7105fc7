"""A strict small Discord on a loopback socket: REST with faults and rate limits, a gateway,
and people whose doings become events. All traffic is held against Discord's OpenAPI.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web

from bot.clock import SystemClock
from bot.ports import Clock
from tests.fakes.discord_gateway import FakeGateway
from tests.fakes.discord_guild import (
    ADA,
    APP,
    BOSS_ROLE,
    BOT,
    CHANNEL,
    DIRECT,
    GUILD,
    UNKNOWN_INTERACTION,
    UNKNOWN_MESSAGE,
    Asked,
    FakeServer,
    Json,
    Refused,
    numbered,
)
from tests.fakes.discord_openapi import problem_with, problem_with_answer

TOKEN = "MTk4NjIyNDgzNDcxOTI1MjQ4.Cl2FMQ.fake-token"
ACK_SECONDS = 3.0
SEND = "POST /channels/{channel_id}/messages"
EDIT = "PATCH /channels/{channel_id}/messages/{message_id}"
DELETE = "DELETE /channels/{channel_id}/messages/{message_id}"
THREAD = "POST /channels/{channel_id}/messages/{message_id}/threads"
CALLBACK = "POST /interactions/{interaction_id}/{interaction_token}/callback"
EDIT_ORIGINAL = "PATCH /webhooks/{webhook_id}/{webhook_token}/messages/@original"
FOLLOW_UP = "POST /webhooks/{webhook_id}/{webhook_token}"
_WEBHOOK = "/webhooks/{webhook_id}/{webhook_token}"
_COMMANDS = "/applications/{application_id}/commands"
_GUILD_COMMANDS = "/applications/{application_id}/guilds/{guild_id}/commands"
_MESSAGE = "/channels/{channel_id}/messages/{message_id}"


@dataclass(frozen=True, slots=True)
class Fault:
    """What becomes of one call. ``happens``: it takes effect nevertheless."""

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
    """A 429 of Discord's own, which says how long."""
    body = {"message": "You are being rate limited.", "retry_after": seconds, "global": is_global}
    return Fault(429, body, {"Via": "1.1 google", "Retry-After": str(seconds)})


def banned(seconds: float) -> Fault:
    """A 429 from in front of Discord: without ``Via``."""
    return Fault(429, "error code: 1015", {"Retry-After": str(seconds)})


@dataclass(frozen=True, slots=True)
class Call:
    """One call as it came in; ``at`` is monotonic."""

    route: str
    ids: Mapping[str, str]
    body: Any
    at: float


class FakeDiscord(FakeServer):
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
        super().__init__(clock or SystemClock(), message_content=message_content)
        self.gateway = FakeGateway(self, TOKEN, lambda: self.gateway_url)
        self.calls: list[Call] = []
        self.files: dict[str, bytes] = {}
        self.num_fetched = 0
        self.serves_files = asyncio.Event()
        self.serves_files.set()
        self.num_rate_limited = 0
        self.max_in_flight = 0
        self.latency = 0.0
        self.num_shards = num_shards
        self._bucket, self._bucket_seconds = bucket, bucket_seconds
        self._recent: defaultdict[str, deque[float]] = defaultdict(deque)
        self._in_flight: Counter[str] = Counter()
        self._faults: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self._tokens = itertools.count(1)
        self._news = asyncio.Condition()

    async def __aenter__(self) -> Self:
        application = web.Application(client_max_size=32 * 1024 * 1024)
        for route, action in self._routes().items():
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
        """Those that have not come to pass yet."""
        return len(self._faults[route])

    def num_calls(self, route: str) -> int:
        return sum(call.route == route for call in self.calls)

    async def until(self, condition: Callable[[], object], seconds: float = 20.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 - the bot is another process
                await asyncio.sleep(0.01)

    async def says(self, text: str, channel: str, seconds: float = 20.0) -> str:
        """Until a message of the bot in this channel reads so; its id."""
        await self.until(lambda: text in self.texts(channel), seconds)
        return next(
            str(m["id"])
            for m in self.messages.values()
            if m["channel_id"] == channel and m["content"] == text
        )

    # People, whose doings become events

    async def say(
        self, text: str, *, user: str = ADA, channel: str = CHANNEL, reply_to: str = "", **more: Any
    ) -> str:
        """Write a message; its id."""
        if reply_to:
            reference = {"type": 0, "channel_id": channel, "message_id": reply_to}
            more["message_reference"] = reference
            more["referenced_message"] = dict(self.messages[reply_to])
        message = self.keep(channel, user, text, **more)
        await self.gateway.dispatch("MESSAGE_CREATE", self._event_of(message), self._guild(channel))
        return str(message["id"])

    async def ask(self, text: str, *, user: str = ADA, channel: str = CHANNEL, **more: Any) -> str:
        return await self.say(f"<@{BOT}> {text}", user=user, channel=channel, **more)

    def attached(self, name: str, data: bytes, media_type: str) -> Json:
        """A file as a message carries it."""
        self.files[name] = data
        url = f"{self.files_url}/{name}"
        return {
            "id": self.snowflake(),
            "filename": name,
            "size": len(data),
            "url": url,
            "proxy_url": url,
            "content_type": media_type,
        }

    async def change_text(self, message_id: str, text: str) -> None:
        message = self.messages[message_id]
        message["content"] = text
        message["edited_timestamp"] = self.clock.now().isoformat()
        await self.touch(message_id)

    async def touch(self, message_id: str) -> None:
        """What an unfurled link does: the message is sent again as it is."""
        message = self.messages[message_id]
        guild = self._guild(message["channel_id"])
        await self.gateway.dispatch("MESSAGE_UPDATE", self._event_of(message), guild)

    async def erase(self, message_id: str) -> None:
        message = self.messages.pop(message_id)
        event = {"id": message_id, "channel_id": message["channel_id"]}
        guild = self._guild(message["channel_id"])
        event |= {"guild_id": guild} if guild else {}
        await self.gateway.dispatch("MESSAGE_DELETE", event, guild)

    async def react(self, message_id: str, emoji: str = "🛑", *, user: str = ADA) -> None:
        channel = self.messages[message_id]["channel_id"]
        event = {
            "user_id": user,
            "channel_id": channel,
            "message_id": message_id,
            "emoji": {"id": None, "name": emoji},
            "burst": False,
            "type": 0,
        }
        if guild := self._guild(channel):
            event |= {"guild_id": guild, "member": self.member(user)}
        await self.gateway.dispatch("MESSAGE_REACTION_ADD", event, guild)

    async def slash(
        self, name: str, /, *, sub: str = "", user: str = ADA, channel: str = CHANNEL, **given: Any
    ) -> Asked:
        """Use a slash command; back once it was acknowledged, or after 3 seconds."""
        options = [
            {"name": key, "type": 5 if isinstance(value, bool) else 3, "value": value}
            for key, value in given.items()
        ]
        if sub:
            options = [{"name": sub, "type": 1, "options": options}]
        data = {"id": "1", "name": name, "type": 1, "options": options}
        return await self.interact(2, data, user=user, channel=channel)

    async def press(self, message_id: str, label: str, *, user: str = ADA) -> Asked:
        data = {"component_type": 2, "custom_id": self.buttons(message_id)[label]}
        return await self.press_id(message_id, data, user=user)

    async def press_id(self, message_id: str, data: Json, *, user: str = ADA) -> Asked:
        message = self.messages[message_id]
        return await self.interact(
            3, data, user=user, channel=message["channel_id"], message=message
        )

    async def interact(
        self, kind: int, data: Json, *, user: str = ADA, channel: str = CHANNEL, **more: Any
    ) -> Asked:
        asked = Asked(
            self.snowflake(), f"token-{next(self._tokens)}", channel, user, self.clock.monotonic()
        )
        asked.kind, asked.message = kind, more.get("message", {}).get("id", "")
        self.interactions[asked.id] = asked
        guild = self._guild(channel)
        person = {"member": {**self.member(user), "permissions": self.permissions(user)}}
        payload = {
            "id": asked.id,
            "application_id": APP,
            "type": kind,
            "token": asked.token,
            "version": 1,
            "channel_id": channel,
            "channel": self.channels[channel],
            "data": data,
            "locale": "en-US",
            "entitlements": [],
            "authorizing_integration_owners": {},
            "attachment_size_limit": 0,
            **({"guild_id": guild, **person} if guild else {"user": self.user(user)}),
            **more,
        }
        await self.gateway.dispatch("INTERACTION_CREATE", payload, guild)
        try:
            await self.until(lambda: asked.callback is not None, ACK_SECONDS)
        except TimeoutError:
            asked.callback = None
        return asked

    def answer_to(self, asked: Asked) -> str | None:
        """The text of the answer to an interaction."""
        return self.text(asked.original) if asked.original else None

    def _event_of(self, message: Json) -> Json:
        guild = self._guild(message["channel_id"])
        event = self.seen_by_bot(message)
        if guild:
            member = self.member(message["author"]["id"], full=False)
            event = {**event, "guild_id": guild, "member": member}
        return event

    def _guild(self, channel: str) -> str | None:
        found: str | None = self.channels.get(channel, {}).get("guild_id")
        return found

    # REST

    def _routes(self) -> Mapping[str, Callable[[Json, Any, Mapping[str, str]], Any]]:
        return {
            "GET /users/@me": lambda *_: {
                **self.user(BOT),
                "mfa_enabled": True,
                "locale": "en-US",
            },
            "GET /oauth2/applications/@me": lambda *_: self._application(),
            "GET /gateway/bot": lambda *_: self._gateway_bot(),
            f"GET {_COMMANDS}": lambda *_: self.commands,
            f"PUT {_COMMANDS}": self._put_commands,
            f"GET {_GUILD_COMMANDS}": lambda ids, *_: self.guild_commands.get(ids["guild_id"], []),
            f"PUT {_GUILD_COMMANDS}": self._put_guild_commands,
            "POST /users/@me/channels": lambda *_: self.channels[DIRECT],
            "GET /channels/{channel_id}": self._get_channel,
            "PATCH /channels/{channel_id}": self._change_channel,
            "POST /channels/{channel_id}/typing": self._typing,
            SEND: self._send,
            "GET /channels/{channel_id}/messages": self._history,
            f"GET {_MESSAGE}": self._get_message,
            EDIT: lambda ids, body, _: self._edit(ids, body),
            DELETE: self._delete,
            THREAD: self._thread,
            f"PUT {_MESSAGE}/reactions/{{emoji}}/@me": self._add_reaction,
            f"DELETE {_MESSAGE}/reactions/{{emoji}}/@me": self._remove_reaction,
            CALLBACK: self._callback,
            EDIT_ORIGINAL: lambda ids, body, _: self._edit_answer(ids, body),
            f"DELETE {_WEBHOOK}/messages/@original": lambda ids, *_: self._drop_answer(ids),
            f"PATCH {_WEBHOOK}/messages/{{message_id}}": lambda i, b, _: self._edit_answer(i, b),
            f"DELETE {_WEBHOOK}/messages/{{message_id}}": lambda ids, *_: self._drop_answer(ids),
            FOLLOW_UP: self._follow_up,
        }

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
        """Of a form with files: what is said in JSON; the files are put beside ``files``."""
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

    def _application(self) -> Json:
        flags = 1 << 19 if self.message_content else 0
        owner = self.user(ADA)
        return {
            "id": APP,
            "name": "Parley",
            "icon": None,
            "description": "",
            "type": None,
            "bot_public": True,
            "bot_require_code_grant": False,
            "owner": owner,
            "team": None,
            "verify_key": "00",
            "flags": flags,
            "flags_new": str(flags),
            "redirect_uris": [],
            "interactions_endpoint_url": None,
            "role_connections_verification_url": None,
            "approximate_guild_count": 1,
            "approximate_user_install_count": 0,
            "approximate_user_authorization_count": 0,
            "explicit_content_filter": 0,
            "eligible_oauth2_scopes": ["bot", "applications.commands"],
        }

    def _gateway_bot(self) -> Json:
        limit = {"total": 1000, "remaining": 999, "reset_after": 1, "max_concurrency": 1}
        return {"url": self.gateway_url, "shards": self.num_shards, "session_start_limit": limit}

    def _put_commands(self, _: Json, body: list[Json], __: Any) -> list[Json]:
        self.commands = self._registered(body)
        return self.commands

    def _put_guild_commands(self, ids: Json, body: list[Json], __: Any) -> list[Json]:
        self.guild_commands[ids["guild_id"]] = self._registered(body)
        return self.guild_commands[ids["guild_id"]]

    def _registered(self, commands: list[Json]) -> list[Json]:
        extra = {"application_id": APP, "version": "1", "default_member_permissions": None}
        return [
            {"id": str(n), "description": "", **each, **extra} for n, each in enumerate(commands, 1)
        ]

    def _get_channel(self, ids: Json, *_: Any) -> Json:
        return self.check_channel(ids["channel_id"], "see")

    def _change_channel(self, ids: Json, body: Json, _: Any) -> Json:
        channel = self.check_channel(ids["channel_id"])
        channel["thread_metadata"]["archived"] = body["archived"]
        return channel

    def _typing(self, ids: Json, *_: Any) -> None:
        self.check_channel(ids["channel_id"])
        self.num_typings += 1

    def _send(self, ids: Json, body: Json, _: Any) -> Json:
        self.check_channel(ids["channel_id"])
        return self.write(ids["channel_id"], body)

    def _history(self, ids: Json, _: Any, query: Mapping[str, str]) -> list[Json]:
        self.check_channel(ids["channel_id"], "read")
        here = [m for m in self.messages.values() if m["channel_id"] == ids["channel_id"]]
        here = [m for m in here if int(m["id"]) < int(query.get("before", 1 << 63))]
        here = [m for m in here if m["id"] not in self.hidden]
        newest_first = sorted(here, key=lambda m: -int(m["id"]))
        return newest_first[: int(query.get("limit", 50))]

    def _get_message(self, ids: Json, *_: Any) -> Json:
        self.check_channel(ids["channel_id"], "read")
        message = self.messages.get(ids["message_id"])
        if message is None or message["channel_id"] != ids["channel_id"]:
            raise UNKNOWN_MESSAGE
        return message

    def _edit(self, ids: Json, body: Json) -> Json:
        self.check_channel(ids["channel_id"])
        message = self.own(ids["message_id"])
        if message["channel_id"] != ids["channel_id"] or message["id"] in self.hidden:
            raise UNKNOWN_MESSAGE
        return self.change(ids["message_id"], body)

    def _delete(self, ids: Json, *_: Any) -> None:
        self.own(ids["message_id"])
        if ids["message_id"] in self.hidden:
            raise UNKNOWN_MESSAGE
        del self.messages[ids["message_id"]]

    def _thread(self, ids: Json, body: Json, _: Any) -> Json:
        return self.open_thread(ids["channel_id"], ids["message_id"], body["name"])

    def _add_reaction(self, ids: Json, *_: Any) -> None:
        self._get_message(ids)
        self.reactions.add((ids["message_id"], ids["emoji"]))

    def _remove_reaction(self, ids: Json, *_: Any) -> None:
        self.reactions.discard((ids["message_id"], ids["emoji"]))

    # Interactions

    def _callback(self, ids: Json, body: Json, query: Mapping[str, str]) -> Json | None:
        asked = self.interactions.get(ids["interaction_id"])
        late = asked is None or self.clock.monotonic() - asked.made_at > ACK_SECONDS
        if asked is None or late or asked.token != ids["interaction_token"]:
            raise UNKNOWN_INTERACTION
        if asked.callback is not None:
            raise Refused(400, 40060, "Interaction has already been acknowledged.")
        asked.callback, asked.data = body["type"], body.get("data") or {}
        asked.acked_after = self.clock.monotonic() - asked.made_at
        if body["type"] in (4, 5):
            self._begin_answer(asked)
        elif body["type"] == 7:
            self.change(asked.message, asked.data)
        if query.get("with_response") != "true":
            return None
        return self._callback_answer(asked)

    def _callback_answer(self, asked: Asked) -> Json:
        """The message itself comes only with an answer that is given at once."""
        answer: Json = {"interaction": {"id": asked.id, "type": asked.kind}}
        if asked.original:
            answer["interaction"]["response_message_id"] = asked.original
            answer["interaction"]["response_message_loading"] = asked.callback == 5
        changed = {4: asked.original, 7: asked.message}.get(asked.callback or 0)
        if changed:
            answer["resource"] = {"type": asked.callback, "message": self.messages[changed]}
        return answer

    def _begin_answer(self, asked: Asked) -> None:
        self.check_text(asked.data)
        text, metadata = asked.data.get("content", ""), self.metadata(asked)
        message = self.keep(asked.channel, BOT, text, interaction_metadata=metadata)
        message["components"] = numbered(asked.data.get("components", []))
        asked.original = message["id"]
        if asked.data.get("flags", 0) & 64:
            self.hidden[message["id"]] = asked.user

    def _edit_answer(self, ids: Json, body: Json) -> Json:
        asked = self.interaction(ids["webhook_token"])
        return self.change(ids.get("message_id", asked.original), body)

    def _drop_answer(self, ids: Json) -> None:
        asked = self.interaction(ids["webhook_token"])
        message_id = ids.get("message_id", asked.original)
        self.own(message_id)
        del self.messages[message_id]
        self.hidden.pop(message_id, None)

    def _follow_up(self, ids: Json, body: Json, _: Any) -> Json:
        asked = self.interaction(ids["webhook_token"])
        if asked.callback is None:
            raise Refused(404, 10015, "Unknown Webhook")
        message = self.write(asked.channel, body, interaction_metadata=self.metadata(asked))
        if body.get("flags", 0) & 64:
            self.hidden[message["id"]] = asked.user
        return message


def _response(found: Any, status: int, headers: Mapping[str, str]) -> web.Response:
    """Discord's content type has no charset, and discord.py compares it as a whole."""
    if found is None:
        return web.Response(status=status, headers=headers)
    kind = {"Content-Type": "application/json"}
    return web.Response(body=json.dumps(found).encode(), status=status, headers={**headers, **kind})


__all__ = ["BOSS_ROLE", "GUILD", "FakeDiscord"]

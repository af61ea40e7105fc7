"""The gateway of a strict small Discord: HELLO to RESUME, opcodes 7 and 9, heartbeats, closes."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from tests.fakes.discord_guild import APP, BOT, GUILD, FakeServer

Json = dict[str, Any]

MESSAGE_CONTENT = 1 << 15
PRIVILEGED = MESSAGE_CONTENT | 1 << 1 | 1 << 8
_DISPATCH, _HEARTBEAT, _IDENTIFY, _RESUME, _RECONNECT, _INVALID = 0, 1, 2, 6, 7, 9
_HELLO, _ACK = 10, 11


@dataclass(slots=True)
class Session:
    """The session of one IDENTIFY; ``sent``: all its events, in order."""

    id: str
    shard: tuple[int, int]
    sent: list[Json] = field(default_factory=list)
    socket: web.WebSocketResponse | None = None

    def has_guild(self, guild: str) -> bool:
        number, count = self.shard
        return (int(guild or 0) >> 22) % count == number


class FakeGateway:
    """``refuse_with``: close code for the next IDENTIFYs. ``guilds``: those of the bot."""

    def __init__(self, server: FakeServer, token: str, url: Callable[[], str]) -> None:
        self.server = server
        self.token = token
        self.url = url
        self.guilds: list[str] = [GUILD]
        self.make_guild: Callable[[str], Json] = server.guild
        self.sessions: list[Session] = []
        self.identifies: list[Json] = []
        self.num_resumes = 0
        self.num_heartbeats = 0
        self.acks_heartbeats = True
        self.heartbeat_interval = 41.25
        self.refuse_with: int | None = None
        self.replay_again = 0
        self._ids = itertools.count(1)

    @property
    def is_connected(self) -> bool:
        return any(session.socket for session in self.sessions)

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        milliseconds = int(self.heartbeat_interval * 1000)
        await socket.send_json({"op": _HELLO, "d": {"heartbeat_interval": milliseconds}})
        try:
            async for frame in socket:
                if frame.type is WSMsgType.TEXT:
                    await self._take(socket, frame.json())
        finally:
            for session in self.sessions:
                session.socket = None if session.socket is socket else session.socket
        return socket

    async def dispatch(self, event: str, payload: Json, guild: str | None = None) -> None:
        """Send to the sessions that this concerns; a lost one gets it when it resumes."""
        for session in self.sessions:
            if not session.has_guild(guild or payload.get("guild_id") or "0"):
                continue
            frame = {"op": _DISPATCH, "t": event, "s": len(session.sent) + 1, "d": payload}
            session.sent.append(frame)
            await self._send(session, frame)

    async def drop(self) -> None:
        """Cut the connection without a close frame."""
        for session in self.sessions:
            socket, session.socket = session.socket, None
            if socket is not None and socket._req and socket._req.transport:
                socket._req.transport.abort()
        await asyncio.sleep(0)

    async def close(self, code: int) -> None:
        for session in self.sessions:
            socket, session.socket = session.socket, None
            if socket is not None:
                await socket.close(code=code)

    async def ask_to_reconnect(self) -> None:
        for session in self.sessions:
            await self._send(session, {"op": _RECONNECT, "d": None})

    async def invalidate(self, *, resumable: bool) -> None:
        gone, self.sessions = self.sessions, self.sessions if resumable else []
        for session in gone:
            await self._send(session, {"op": _INVALID, "d": resumable})

    async def _send(self, session: Session, frame: Json) -> None:
        if session.socket is not None and not session.socket.closed:
            await session.socket.send_json(frame)

    async def _take(self, socket: web.WebSocketResponse, frame: Json) -> None:
        match frame["op"]:
            case 1:
                self.num_heartbeats += 1
                if self.acks_heartbeats:
                    await socket.send_json({"op": _ACK})
            case 2:
                await self._identify(socket, frame["d"])
            case 6:
                await self._resume(socket, frame["d"])

    async def _identify(self, socket: web.WebSocketResponse, data: Json) -> None:
        self.identifies.append(data)
        if data["token"] != self.token:
            await socket.close(code=4004)
            return
        if data["intents"] & PRIVILEGED and not self.server.message_content:
            await socket.close(code=4014)
            return
        if self.refuse_with is not None:
            await socket.close(code=self.refuse_with)
            return
        shard = tuple(data.get("shard") or (0, 1))
        session = Session(f"session-{next(self._ids)}", (shard[0], shard[1]), socket=socket)
        self.sessions = [s for s in self.sessions if s.shard != session.shard] + [session]
        await self._greet(session)

    async def _greet(self, session: Session) -> None:
        mine = [guild for guild in self.guilds if session.has_guild(guild)]
        ready = {
            "v": 10,
            "user": self.server.user(BOT),
            "guilds": [{"id": guild, "unavailable": True} for guild in mine],
            "session_id": session.id,
            "resume_gateway_url": self.url(),
            "shard": list(session.shard),
            "application": {"id": APP, "flags": 0},
        }
        await self._append(session, "READY", ready)
        for guild in mine:
            await self._append(session, "GUILD_CREATE", self.make_guild(guild))

    async def _append(self, session: Session, event: str, payload: Json) -> None:
        frame = {"op": _DISPATCH, "t": event, "s": len(session.sent) + 1, "d": payload}
        session.sent.append(frame)
        await self._send(session, frame)

    async def _resume(self, socket: web.WebSocketResponse, data: Json) -> None:
        found = [each for each in self.sessions if each.id == data["session_id"]]
        if data["token"] != self.token or not found:
            await socket.send_json({"op": _INVALID, "d": False})
            return
        self.num_resumes += 1
        session = found[0]
        session.socket = socket
        seen = max(0, int(data["seq"] or 0) - self.replay_again)
        for frame in session.sent[seen:]:
            if frame["t"] not in ("READY", "GUILD_CREATE"):
                await self._send(session, frame)
        await self._append(session, "RESUMED", {})

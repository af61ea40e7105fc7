"""Sender: sends a request to a server, and to another one after a failure."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import aclosing
from typing import Any

from bot.generation import FinishReason, GenerationRequest
from bot.inference.remote.chunks import StreamChunk
from bot.inference.remote.faults import ContextExceeded, Fault
from bot.inference.remote.patience import Patience
from bot.inference.remote.reply import RemoteReply, Repeated
from bot.inference.remote.server import RemoteServer
from bot.inference.remote.servers import Servers
from bot.metrics import Metrics

_LATE = ("silent", "broken", "malformed")
"""Faults that do not matter once the server has said why the reply ended: it is whole."""


class Sender:
    """Tries the least loaded server first. Before the first token a failed call is repeated."""

    def __init__(
        self,
        servers: Servers,
        body_of: Callable[[GenerationRequest, RemoteServer], dict[str, Any]],
        headers_of: Callable[[GenerationRequest], Mapping[str, str]],
        metrics: Metrics,
        patience: Patience,
    ) -> None:
        self._servers = servers
        self._body_of = body_of
        self._headers_of = headers_of
        self._metrics = metrics
        self._patience = patience

    async def send(self, reply: RemoteReply) -> None:
        """Raises ``Fault``, or ``ContextExceeded`` before the first token."""
        avoided: set[RemoteServer] = set()
        for attempts_left in reversed(range(self._patience.max_attempts)):
            server = self._servers.least_loaded(avoided)
            await asyncio.sleep(max(0.0, server.rests_until - time.monotonic()))
            try:
                await self._receive(reply, server)
                return
            except Fault as fault:
                self._note(server, fault)
                if fault.retry == "elsewhere":
                    avoided.add(server)
                is_hopeless = fault.retry == "never" or len(avoided) == len(self._servers)
                if reply.has_begun or is_hopeless or not attempts_left:
                    raise
                self._metrics.engine_retries.inc()

    async def _receive(self, reply: RemoteReply, server: RemoteServer) -> None:
        body = self._body_of(reply.request, server)
        if server.dialect and server.dialect.repeats_begun:
            reply.repeated = Repeated(reply.request.begun or "")
        with server.busy():
            try:
                await self._read(reply, server, body)
            except ContextExceeded:
                self._count("context")
                raise
            except asyncio.CancelledError:
                self._count("cancelled")
                raise
        self._count("ok")
        server.note_success()

    async def _read(self, reply: RemoteReply, server: RemoteServer, body: dict[str, Any]) -> None:
        headers = self._headers_of(reply.request)
        try:
            async with aclosing(server.stream(body, headers)) as chunks:
                async for chunk in chunks:
                    self._take(reply, chunk)
                    if reply.is_flooding:
                        reply.reason = FinishReason.LENGTH
                        return
            if reply.reason is None:
                raise Fault("broken")
        except Fault as fault:
            if reply.reason and fault.kind in _LATE:
                return
            if reply.has_begun or reply.has_asked_why or fault.kind != "broken":
                raise
            reply.has_asked_why = True
            raise await server.why(body, headers) or fault from None

    def _take(self, reply: RemoteReply, chunk: StreamChunk) -> None:
        if chunk.num_characters and not reply.has_begun:
            self._metrics.first_token.observe(time.monotonic() - reply.accepted_at)
        reply.take(chunk)
        if chunk.fault:
            raise chunk.fault

    def _note(self, server: RemoteServer, fault: Fault) -> None:
        self._count(fault.kind)
        server.note_fault(fault, time.monotonic())

    def _count(self, status: str) -> None:
        self._metrics.engine_calls.labels(status).inc()

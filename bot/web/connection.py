"""What aiohttp does by itself on a connection, done as the rest of the server does it."""

from __future__ import annotations

import asyncio

from aiohttp import HttpVersion11, web
from aiohttp.http_writer import StreamWriter

from bot.web.errors import malformed, refused

_SETTLE, _FIRST_PROBE, _MAX_PROBE = 0.02, 0.1, 5.0
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_COMMENT = b"2\r\n:\n\r\n"
"""A chunk with an empty comment."""


class ClientConnection(web.RequestHandler):
    """Answers malformed requests with JSON, and clients that have closed their sending half.

    The end of what a client sends looks the same whether it has gone or waits for its answer.
    So it is written to, from time to time: who has gone answers that with a reset, and the
    request is cancelled; whoever waits skips the line, as every client of HTTP/1.1 must, and the
    comment in a stream of events. Who ends it amid any other answer has gone: nothing can be
    written between its parts.
    """

    streamed: web.Request | None = None
    """The latest request that was answered with a stream of events."""
    _probe: asyncio.Handle | None = None

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        super().handle_error(request, status, exc, message)  # writes the log
        response = malformed(status, exc)
        response.force_close()
        return response

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """A refusal that no middleware has seen becomes JSON, too."""
        if isinstance(resp, web.HTTPException) and resp.content_type != "application/json":
            resp = refused(request, resp) if resp.status >= 400 else resp
        finished = await super().finish_response(request, resp, start_time)
        if self._probe and not self._messages:
            self.close()  # nothing more can come
        return finished

    def eof_received(self) -> bool:  # type: ignore[override]
        """Whether the connection stays open for an answer; ``_write_probe`` may still close it."""
        request = self._current_request
        has_begun = request is not None and request.writer.output_size > 0
        is_closed_to_us = has_begun and request is not self.streamed
        is_socket = self._payload_parser is not None
        if is_socket or is_closed_to_us or self._is_vain(request):
            return False
        if self._probe is None:
            self._probe = self._loop.call_later(_SETTLE, self._write_probe, _FIRST_PROBE)
        return True

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._probe:
            self._probe.cancel()
        super().connection_lost(exc)

    def _write_probe(self, seconds: float) -> None:
        request = self._current_request
        if self.transport is None:
            return
        if self._is_vain(request):
            self.transport.close()
            return
        if request is not None and not self.transport.get_write_buffer_size():
            self.transport.write(self._skipped(request))
        later = min(_MAX_PROBE, 2 * seconds)
        self._probe = self._loop.call_later(seconds, self._write_probe, later)

    def _skipped(self, request: web.BaseRequest) -> bytes:
        """What may be written at this point of the answer and is skipped by its client."""
        writer = request.writer
        if not writer.output_size:
            return _CONTINUE
        is_open = isinstance(writer, StreamWriter) and writer.chunked and not writer._eof
        return _COMMENT if is_open and request is self.streamed else b""

    def _is_vain(self, request: web.BaseRequest | None) -> bool:
        """Whether no whole request waits for its answer, or one of an HTTP without interim ones."""
        if request is not None:
            return not request.content.is_eof() or request.version < HttpVersion11
        return self._waiter is not None and not self._messages


async def note_event_stream(request: web.Request, response: web.StreamResponse) -> None:
    """A signal of aiohttp, sent before a response is."""
    if isinstance(request.protocol, ClientConnection):
        is_stream = response.content_type == "text/event-stream"
        request.protocol.streamed = request if is_stream else None


class _ConnectionFactory(web.Server):
    def __call__(self) -> ClientConnection:
        return ClientConnection(self, loop=self._loop, **self._kwargs)


class ConnectionRunner(web.AppRunner):
    """An ``AppRunner`` whose connections are ours."""

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _ConnectionFactory(
            made.request_handler,
            request_factory=made.request_factory,
            handler_cancellation=made.handler_cancellation,
            **made._kwargs,
        )

"""What aiohttp does by itself on a connection, done as the rest of the server does it."""

from __future__ import annotations

import asyncio

from aiohttp import HttpVersion11, web

from bot.web.errors import malformed, refused

_SETTLE, _FIRST_PROBE, _MAX_PROBE = 0.02, 0.1, 5.0
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class ClientConnection(web.RequestHandler):
    """Answers malformed requests with JSON, and clients that have closed their sending half.

    The end of what a client sends looks the same whether it has gone or waits for its answer.
    So it is written to, from time to time: who has gone answers that with a reset, and the
    request is cancelled; whoever waits skips the line, as every client of HTTP/1.1 must. Who ends
    it while an answer is under way has gone: nothing can be written between its parts.
    """

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
        is_socket = self._payload_parser is not None
        if is_socket or has_begun or self._is_vain(request):
            return False
        if self._probe is None:
            self._probe = self._loop.call_later(_SETTLE, self._write_probe, _FIRST_PROBE)
        return True

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._probe:
            self._probe.cancel()
        super().connection_lost(exc)

    def _write_probe(self, seconds: float) -> None:
        """Before an answer only; one that has begun since then writes by itself."""
        request = self._current_request
        if self.transport is None:
            return
        if self._is_vain(request):
            self.transport.close()
            return
        if request is not None and not request.writer.output_size:
            self.transport.write(_CONTINUE)
        later = min(_MAX_PROBE, 2 * seconds)
        self._probe = self._loop.call_later(seconds, self._write_probe, later)

    def _is_vain(self, request: web.BaseRequest | None) -> bool:
        """Whether no whole request waits for its answer, or one of an HTTP without interim ones."""
        if request is not None:
            return not request.content.is_eof() or request.version < HttpVersion11
        return self._waiter is not None and not self._messages


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

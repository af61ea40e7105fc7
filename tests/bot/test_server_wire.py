"""Bytes on the wire: requests that are none, and clients that close one half, or both."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from bot.metrics import Metrics
from bot.server import Server, ServerSettings
from tests.fakes.readiness import always

SECRET = "sk-do-not-repeat-me"
HOST = "Host: 127.0.0.1\r\n"
POST = f"POST /echo HTTP/1.1\r\n{HOST}"
FIVE = "Content-Length: 5\r\n\r\nhello"
HEADER = f"X-Key: {SECRET}\r\n"
KEY = "Authorization: Bearer key\r\n"
SOON = 5.0


class Slow:
    """A route that answers once ``may_answer`` is set."""

    def __init__(self) -> None:
        self.has_begun = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.was_cancelled = asyncio.Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.has_begun.set()
        try:
            await self.may_answer.wait()
        except asyncio.CancelledError:
            self.was_cancelled.set()
            raise
        return web.json_response({"path": request.path_qs})


async def echo(request: web.Request) -> web.Response:
    return web.Response(body=await request.read())


async def stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for part in (b"one ", b"two"):
        await response.write(part)
        await asyncio.sleep(0)
    return response


@asynccontextmanager
async def serving(slow: Slow | None = None) -> AsyncIterator[Server]:
    settings = ServerSettings(port=0, drain_seconds=0.2, api_keys={"ci": "key"})
    server = Server(settings, Metrics(), always())
    handler = (slow or Slow()).answer
    server.mount([web.post("/echo", echo), web.post("/slow", handler), web.post("/stream", stream)])
    async with server:
        yield server


async def until_closed(reader: asyncio.StreamReader) -> str:
    async with asyncio.timeout(SOON):
        return (await reader.read()).decode("latin-1")


async def sent(raw: str) -> str:
    """All that comes back for these bytes, to a client that then closes its sending half."""
    async with serving() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(raw.encode("latin-1"))
        writer.write_eof()
        answer = await until_closed(reader)
        writer.close()
    return answer.removeprefix("HTTP/1.1 100 Continue\r\n\r\n")


MALFORMED = {
    f"{POST}Authorization: Bearer {SECRET}{'x' * 9_000}\r\n\r\n": "is too long",
    f"GET /{SECRET}{'x' * 9_000} HTTP/1.1\r\n{HOST}\r\n": "is too long",
    f"{POST}{HEADER * 300}\r\n": "too many headers",
    f"{POST}Content-Encoding: br\r\nX-Key: {SECRET}\r\n{FIVE}": "Content-Encoding",
    f"{POST}Content-Encoding: zstd\r\n{FIVE}": "Content-Encoding",
    f"{POST}Content-Encoding: {SECRET}\r\n{FIVE}": "Content-Encoding",
    f"{POST}Content-Encoding: gzip, gzip\r\n{FIVE}": "Content-Encoding",
    f"{POST}Transfer-Encoding: chunked\r\n{FIVE}": "either Content-Length or Transfer-Encoding",
    f"{POST}Transfer-Encoding: {SECRET}\r\n\r\n": "not valid HTTP",
    f"{POST}Content-Length: {SECRET}\r\n\r\nhello": "not valid HTTP",
    f"{POST}Content-Length: 6\r\n{FIVE}": "not valid HTTP",
    f"{POST}Transfer-Encoding: chunked\r\n\r\n{SECRET}\r\n": "not valid HTTP",
    f"POST /echo HTTP/1.1\r\n{FIVE}": "no header 'Host'",
    f"{POST}{HOST}{FIVE}": "'Host' twice",
    f"{POST}{SECRET}\r\n{FIVE}": "not valid HTTP",
    f"{POST}X-Key: \x01{SECRET}\r\n{FIVE}": "not valid HTTP",
    f"{POST}X-Key: a\r\n {SECRET}\r\n{FIVE}": "not valid HTTP",
    f"G@T{SECRET} /echo HTTP/1.1\r\n{HOST}\r\n": "not valid HTTP",
    f"GET http://[{SECRET} HTTP/1.1\r\n{HOST}\r\n": "not valid HTTP",
    f"GET /echo HTTP/3.7\r\n{HOST}X-Key: {SECRET}\r\n\r\n": "not valid HTTP",
    f"{SECRET}\r\n\r\n": "not valid HTTP",
    "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n": "HTTP and not HTTPS",
    f"{POST}Expect: {SECRET}\r\n{FIVE}": "'Expect' can only be '100-continue'",
    f"POST /nowhere HTTP/1.1\r\n{HOST}Expect: {SECRET}\r\n{FIVE}": "'Expect' can only be",
    f"{POST}Content-Encoding: gzip\r\n{FIVE}": "The body is broken",
}


@pytest.mark.parametrize("raw", MALFORMED, ids=range(len(MALFORMED)))
async def test_a_request_that_is_none_is_refused_in_json_and_not_repeated(
    raw: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    answer = await sent(raw)
    head, _, body = answer.partition("\r\n\r\n")
    assert head.split()[1] in ("400", "415", "417")
    assert "content-type: application/json" in head.lower()
    error = json.loads(body)["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    assert MALFORMED[raw] in error["message"]
    assert SECRET not in answer
    assert SECRET not in caplog.text
    assert "Traceback" not in caplog.text


async def test_an_answer_to_a_client_that_has_gone_is_no_fault(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its connection may close between any two lines of a handler."""
    was_lost = asyncio.Event()

    async def lost(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        was_lost.set()
        response = web.StreamResponse()
        await response.prepare(request)
        return response

    server = Server(ServerSettings(port=0, drain_seconds=0.2), Metrics(), always())
    server.mount([web.post("/lost", lost)])
    async with server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(f"POST /lost HTTP/1.1\r\n{HOST}{FIVE}".encode())
        await asyncio.wait_for(was_lost.wait(), SOON)
        writer.close()
    assert "Traceback" not in caplog.text


async def test_a_handler_that_times_out_by_itself_is_a_fault_of_parley() -> None:
    async def late(request: web.Request) -> web.Response:
        raise TimeoutError(SECRET)

    server = Server(ServerSettings(port=0, drain_seconds=0.2), Metrics(), always())
    server.mount([web.post("/late", late)])
    async with server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(f"POST /late HTTP/1.1\r\n{HOST}Connection: close\r\n{FIVE}".encode())
        answer = await until_closed(reader)
        writer.close()
    assert answer.startswith("HTTP/1.1 500")
    assert "Parley failed inside" in answer
    assert SECRET not in answer


# Half-closed


async def test_a_client_that_sends_no_more_gets_its_answer() -> None:
    assert (await sent(f"{POST}{FIVE}")).endswith("hello")


async def test_a_client_that_sends_no_more_gets_its_whole_stream() -> None:
    answer = await sent(f"POST /stream HTTP/1.1\r\n{HOST}{FIVE}")
    assert answer.endswith("4\r\none \r\n3\r\ntwo\r\n0\r\n\r\n")


async def test_requests_that_came_one_behind_the_other_are_all_answered() -> None:
    answer = await sent(f"{POST}{FIVE}" * 3)
    assert answer.count("HTTP/1.1 200 OK") == 3
    assert answer.count("hello") == 3


async def test_a_client_that_sends_no_more_may_wait_long_for_its_answer() -> None:
    slow = Slow()
    async with serving(slow) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(f"POST /slow HTTP/1.1\r\n{HOST}{FIVE}".encode())
        await asyncio.wait_for(slow.has_begun.wait(), SOON)
        writer.write_eof()
        for _ in range(3):  # what says that the client is still there
            line = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), SOON)
            assert line == b"HTTP/1.1 100 Continue\r\n\r\n"
        slow.may_answer.set()
        assert '{"path": "/slow"}' in await until_closed(reader)
        writer.close()


class Events(Slow):
    """A stream of events, of which the second waits."""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"data: one\n\n")
        await super().answer(request)
        await response.write(b"data: two\n\n")
        return response


async def test_a_stream_of_events_goes_on_for_a_client_that_sends_no_more() -> None:
    events = Events()
    async with serving(events) as server, asyncio.timeout(SOON):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(f"POST /slow HTTP/1.1\r\n{HOST}{FIVE}".encode())
        await reader.readuntil(b"data: one\n\n\r\n")
        writer.write_eof()
        for _ in range(3):  # what says that the client is still there
            assert await reader.readuntil(b":\n\r\n") == b"2\r\n:\n\r\n"
        events.may_answer.set()
        assert (await reader.read()).endswith(b"b\r\ndata: two\n\n\r\n0\r\n\r\n")
        writer.close()


async def test_a_client_that_closes_both_halves_ends_its_stream_of_events() -> None:
    events = Events()
    async with serving(events) as server, asyncio.timeout(SOON):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(f"POST /slow HTTP/1.1\r\n{HOST}{FIVE}".encode())
        await reader.readuntil(b"data: one\n\n\r\n")
        writer.close()
        await events.was_cancelled.wait()


@pytest.mark.parametrize("encoding", ["", "identity", "Identity"])
async def test_a_plain_body_may_say_that_it_is_plain(encoding: str) -> None:
    assert (await sent(f"{POST}Content-Encoding: {encoding}\r\n{FIVE}")).endswith("hello")


@pytest.mark.parametrize("raw", ["", "POST /ec", POST, f"{POST}Content-Length: 9\r\n\r\nhello"])
async def test_half_a_request_is_not_waited_for(raw: str) -> None:
    assert "200 OK" not in await sent(raw)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_a_client_that_closes_both_halves_frees_its_place(version: str) -> None:
    slow = Slow()
    async with serving(slow) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(f"POST /slow HTTP/{version}\r\n{HOST}{KEY}{FIVE}".encode())
        await asyncio.wait_for(slow.has_begun.wait(), SOON)
        writer.close()
        await asyncio.wait_for(slow.was_cancelled.wait(), SOON)


async def test_a_client_that_closes_at_once_frees_its_place() -> None:
    slow = Slow()
    async with serving(slow) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(f"POST /slow HTTP/1.1\r\n{HOST}{FIVE}".encode())
        writer.close()
        await asyncio.wait_for(slow.has_begun.wait(), SOON)
        await asyncio.wait_for(slow.was_cancelled.wait(), SOON)

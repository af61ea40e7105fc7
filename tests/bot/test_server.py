"""The server itself: starting, probes, errors, slow and rude callers."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import aiohttp
import pytest
from aiohttp import web

from bot.errors import SettingsError, StartError
from bot.metrics import Metrics
from bot.server import Server, ServerSettings
from tests.fakes.clock import settle
from tests.fakes.readiness import always

Start = Callable[..., Awaitable[Server]]
SOON = 5.0


def make_server(**settings: object) -> Server:
    values = {"port": 0, "drain_seconds": 0.5, **settings}
    return Server(ServerSettings(**values), Metrics(), always(body={"slack": "up"}))  # type: ignore[arg-type]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    async with AsyncExitStack() as stack:

        async def begin(
            *routes: web.RouteDef, verified: bool = False, **settings: object
        ) -> Server:
            server = make_server(**settings)
            server.mount(routes, verified=verified)
            return await stack.enter_async_context(server)

        yield begin


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def exchange(server: Server, raw: bytes) -> bytes:
    """What comes back for these bytes until the server hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(raw)
    try:
        return await asyncio.wait_for(reader.read(), SOON)
    finally:
        writer.close()


async def test_a_server_that_runs_is_healthy(start: Start, http: aiohttp.ClientSession) -> None:
    server = await start()
    assert server.url == f"http://127.0.0.1:{server.port}"
    async with http.get(f"{server.url}/healthz") as response:
        assert (response.status, await response.json()) == (200, {"status": "ok"})
    async with http.head(f"{server.url}/healthz") as response:
        assert response.status == 200


@pytest.mark.parametrize(("ready", "status"), [(True, 200), (False, 503)])
async def test_readiness_is_told_by_status_and_body(
    http: aiohttp.ClientSession, ready: bool, status: int
) -> None:
    body = {"model": "smollm2", "adapters": {"slack": "down"}}
    settings = ServerSettings(port=0)
    async with (
        Server(settings, Metrics(), always(ready, body)) as server,
        http.get(f"{server.url}/readyz") as response,
    ):
        assert (response.status, await response.json()) == (status, body)


async def test_metrics_are_in_the_text_format(http: aiohttp.ClientSession) -> None:
    metrics = Metrics()
    metrics.turns.labels("slack", "done").inc()
    settings = ServerSettings(port=0)
    async with (
        Server(settings, metrics, always()) as server,
        http.get(f"{server.url}/metrics") as response,
    ):
        assert response.content_type == "text/plain"
        assert 'parley_turns_total{adapter="slack",state="done"} 1.0' in await response.text()


async def test_a_port_that_is_taken_is_one_sentence(start: Start) -> None:
    first = await start()
    with pytest.raises(StartError, match=f"Port {first.port} on 127.0.0.1 is taken") as seen:
        await start(port=first.port)
    assert "PARLEY_PORT" in str(seen.value)


async def test_an_address_of_another_machine_is_one_sentence(start: Start) -> None:
    with pytest.raises(StartError, match="is no address of this machine; set PARLEY_HOST"):
        await start(host="203.0.113.7", api_keys={"ci": "secret"})


@pytest.mark.parametrize("host", ["0.0.0.0", "", "::", "203.0.113.7"])
async def test_an_open_bind_without_keys_refuses_to_start(start: Start, host: str) -> None:
    with pytest.raises(SettingsError, match="set PARLEY_API_KEYS"):
        await start(host=host)


async def test_every_origin_at_once_refuses_to_start(start: Start) -> None:
    with pytest.raises(SettingsError, match="name each origin"):
        await start(cors_origins=("*",))


async def test_an_open_bind_with_keys_tells_a_url_that_works(
    start: Start, http: aiohttp.ClientSession
) -> None:
    server = await start(host="0.0.0.0", api_keys={"ci": "secret"})
    async with http.get(f"{server.url}/healthz") as response:
        assert response.status == 200


def test_a_secret_is_not_in_the_text_form_of_the_settings() -> None:
    settings = ServerSettings(api_keys={"ci": "s3cret"}, basic_auth={"ann": "pa55"})
    assert "s3cret" not in repr(settings)
    assert "pa55" not in repr(settings)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nothing", 404, "not_found"),
        ("GET", "/%00", 404, "not_found"),
        ("DELETE", "/healthz", 405, "method_not_allowed"),
    ],
)
async def test_what_does_not_exist_is_said_in_json(
    start: Start, http: aiohttp.ClientSession, method: str, path: str, status: int, code: str
) -> None:
    server = await start()
    async with http.request(method, f"{server.url}{path}") as response:
        error = (await response.json())["error"]
        assert (response.status, error["code"]) == (status, code)
        assert error["message"]


async def test_a_handler_that_breaks_shows_no_traceback_but_logs_one(
    start: Start, http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(request: web.Request) -> web.Response:
        raise RuntimeError("a secret detail")

    server = await start(web.get("/v1/broken", broken))
    async with http.get(f"{server.url}/v1/broken") as response:
        text = await response.text()
        assert response.status == 500
        assert json.loads(text)["error"]["type"] == "server_error"
    assert "Traceback" not in text
    assert "a secret detail" not in text
    assert "GET /v1/broken failed" in caplog.text


async def test_an_answer_that_breaks_in_the_middle_is_cut_off(
    start: Start, http: aiohttp.ClientSession
) -> None:
    async def broken(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"half")
        raise RuntimeError("a secret detail")

    server = await start(web.get("/v1/broken", broken))
    async with http.get(f"{server.url}/v1/broken") as response:
        assert response.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.text()


async def test_a_body_that_never_comes_is_given_up(start: Start) -> None:
    async def echo(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    server = await start(web.post("/echo", echo), read_seconds=0.05)
    raw = b"POST /echo HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\nhalf"
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(raw)
    head = await asyncio.wait_for(reader.readuntil(b"}}"), SOON)
    writer.close()
    assert b" 408 " in head
    assert b"did not arrive within 0.05 s" in head


async def test_a_broken_body_is_the_sender_s_fault(start: Start) -> None:
    async def echo(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    server = await start(web.post("/echo", echo))
    raw = b"POST /echo HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
    assert b" 400 " in await exchange(server, raw)


@pytest.mark.parametrize(
    "raw", [b"\x16\x03\x01\x02\x00\x01\x00\xfc\x03\r\n\r\n", b"GET / HTTP/1.1\r\nno header\r\n\r\n"]
)
async def test_bytes_that_are_no_http_get_a_400_and_no_traceback(
    start: Start, caplog: pytest.LogCaptureFixture, raw: bytes
) -> None:
    server = await start()
    answer = await exchange(server, raw)
    assert b" 400 " in answer
    assert b"Traceback" not in answer
    assert "Traceback" not in caplog.text


async def test_a_delivery_whose_platform_hangs_up_is_done_to_its_end(start: Start) -> None:
    begun, may_go, done = asyncio.Event(), asyncio.Event(), asyncio.Event()
    requests: list[web.Request] = []

    async def deliver(request: web.Request) -> web.Response:
        requests.append(request)
        begun.set()
        await may_go.wait()
        done.set()
        return web.Response()

    server = await start(web.post("/slack/events", deliver), verified=True)
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"POST /slack/events HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
    await asyncio.wait_for(begun.wait(), SOON)
    writer.transport.abort()
    while requests[0].transport is not None:
        await settle()
    await settle()
    closing = asyncio.create_task(server.__aexit__(None, None, None))
    may_go.set()
    await asyncio.wait_for(closing, SOON)
    assert done.is_set()


async def test_a_closed_server_frees_its_port() -> None:
    async with make_server() as server:
        port = server.port
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))


@pytest.fixture(autouse=True)
def _log_everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

"""Who may call: local programs, holders of keys, pages of listed origins; nobody else."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import aiohttp
import pytest
from aiohttp import web

from bot.adapter_support.addresses import ACCOUNT, is_loopback
from bot.metrics import Metrics
from bot.server import Server, ServerSettings
from bot.web.keys import named_keys
from tests.fakes.readiness import always
from tests.lacking import skip_for_lack

PAGE = "https://app.example"
OWN_KEY = "of-this-parley"
TUNNELLED = {"X-Forwarded-For": "203.0.113.7"}


def basic(login: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@dataclass(frozen=True)
class Answer:
    status: int
    text: str
    headers: Mapping[str, str]


@asynccontextmanager
async def server(
    host: str = "127.0.0.1",
    *,
    with_keys: bool = True,
    with_webhook: bool = False,
    is_public: bool = False,
    cors_origins: tuple[str, ...] = (PAGE,),
) -> AsyncIterator[Server]:
    async def who(request: web.Request) -> web.Response:
        return web.Response(text=request[ACCOUNT])

    async def webhook(request: web.Request) -> web.Response:
        return web.Response(text="verified")

    settings = ServerSettings(
        host=host,
        port=0,
        api_keys={"ci": "key-of-ci", "ops": "schlüssel"} if with_keys else {},
        basic_auth={"ann": "pass:word"} if with_keys else {},
        own_key=OWN_KEY,
        is_public=is_public,
        cors_origins=cors_origins,
    )
    made = Server(settings, Metrics(), always())
    made.mount([web.get("/who", who), web.post("/who", who)])
    if with_webhook:
        made.mount([web.post("/slack/events", webhook)], verified=True)
    async with made:
        yield made


async def call(
    url: str, headers: Mapping[str, str] | None = None, *, method: str = "GET", path: str = "/who"
) -> Answer:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"{url}{path}", headers=headers) as response,
    ):
        return Answer(response.status, await response.text(), response.headers)


async def test_a_program_on_this_machine_needs_no_key() -> None:
    async with server() as made:
        assert (await call(made.url)).text == "local"
        assert (await call(made.url, {"Host": f"localhost:{made.port}"})).text == "local"
        assert (await call(made.url, bearer("left over from elsewhere"))).text == "local"


@pytest.mark.parametrize(
    "headers",
    [
        {"Forwarded": "for=203.0.113.7"},
        {"X-Forwarded-For": "203.0.113.7"},
        {"x-forwarded-proto": "https"},
        {"X-Forwarded-Anything": ""},
        {"Via": "1.1 tunnel"},
        {"X-Real-IP": "203.0.113.7"},
        {"Host": "parley.example"},
        {"Host": "evil.example:3978"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "localhost.evil.example"},
        {"Host": "localhost@evil.example"},
        {"Host": "[broken"},
        {"Host": ""},
    ],
)
async def test_a_request_that_came_through_a_tunnel_or_another_name_needs_one(
    headers: dict[str, str],
) -> None:
    async with server() as made:
        refused = await call(made.url, headers)
        assert refused.status == 401
        assert '"code": "invalid_api_key"' in refused.text
        assert (await call(made.url, {**headers, **bearer("key-of-ci")})).text == "ci"


async def test_a_request_in_the_http_of_proxies_needs_one() -> None:
    async with server() as made:
        head = f"GET /who HTTP/1.0\r\nHost: 127.0.0.1:{made.port}\r\n"
        assert (await exchange(made, f"{head}\r\n")).startswith("HTTP/1.0 401 ")
        answer = await exchange(made, f"{head}Authorization: Bearer key-of-ci\r\n\r\n")
        assert answer.startswith("HTTP/1.0 200 ")


async def exchange(server: Server, request: str) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request.encode())
    try:
        return (await reader.read()).decode()
    finally:
        writer.close()


@pytest.mark.parametrize("opened", ["webhook", "address"])
@pytest.mark.parametrize("path", ["/who", "/metrics"])
async def test_once_parley_can_be_reached_from_outside_this_machine_needs_one_too(
    opened: str, path: str
) -> None:
    async with server(with_webhook=opened == "webhook", is_public=opened == "address") as made:
        assert (await call(made.url, path=path)).status == 401
        assert (await call(made.url, bearer("key-of-ci"), path=path)).status == 200


async def test_where_everybody_needs_a_key_and_none_is_set_the_refusal_names_the_setting() -> None:
    async with server(with_keys=False, is_public=True) as made:
        assert json.loads((await call(made.url)).text)["error"]["message"] == (
            "Parley can be reached from outside, so everybody needs a key, and there is none yet; "
            "set PARLEY_API_KEYS."
        )


@pytest.mark.parametrize("with_keys", [True, False])
async def test_the_own_commands_of_a_public_parley_have_a_key_of_their_own(
    with_keys: bool,
) -> None:
    async with server(with_keys=with_keys, is_public=True) as made:
        assert (await call(made.url, bearer(OWN_KEY))).text == "local"


@pytest.mark.parametrize(
    ("headers", "account"),
    [
        (bearer("key-of-ci"), "ci"),
        ({"Authorization": "bearer   key-of-ci "}, "ci"),
        (bearer("schlüssel"), "ops"),
        (basic("ann:pass:word"), "ann"),
        (bearer("key-of-c"), None),
        (bearer("key-of-ci2"), None),
        (bearer(""), None),
        (bearer("ci"), None),
        (bearer("pass:word"), None),
        (basic("ann:pass"), None),
        (basic("bob:pass:word"), None),
        (basic(":"), None),
        (basic("ci:key-of-ci"), None),
        ({"Authorization": "Basic %%%"}, None),
        ({"Authorization": "key-of-ci"}, None),
        ({"Authorization": "Digest key-of-ci"}, None),
        ({}, None),
    ],
)
async def test_a_key_names_its_account_and_a_wrong_one_nobody(
    headers: dict[str, str], account: str | None
) -> None:
    async with server() as made:
        answer = await call(made.url, {**TUNNELLED, **headers})
        if account is None:
            assert answer.status == 401
            assert answer.headers["WWW-Authenticate"] == "Bearer"
        else:
            assert (answer.status, answer.text) == (200, account)


async def test_without_any_keys_only_this_machine_is_served() -> None:
    async with server(with_keys=False) as made:
        assert (await call(made.url)).text == "local"
        refused = await call(made.url, {**TUNNELLED, **bearer("")})
        assert refused.status == 401
        assert "PARLEY_API_KEYS" in refused.text


@pytest.mark.parametrize("path", ["/metrics", "/who", "/nothing"])
async def test_everything_but_probes_and_webhooks_is_behind_the_keys(path: str) -> None:
    async with server() as made:
        assert (await call(made.url, TUNNELLED, path=path)).status == 401


async def test_probes_and_webhooks_are_not() -> None:
    async with server(with_webhook=True) as made:
        for path in ("/healthz", "/readyz"):
            assert (await call(made.url, TUNNELLED, path=path)).status == 200
            assert (await call(made.url, TUNNELLED, path=path, method="HEAD")).status == 200
        hook = await call(made.url, TUNNELLED, path="/slack/events", method="POST")
        assert hook.text == "verified"


def own_address() -> str:
    """An address of this machine that is not loopback; asking for the route sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        with suppress(OSError):
            probe.connect(("192.0.2.1", 9))
        address = str(probe.getsockname()[0])
    if address == "0.0.0.0" or is_loopback(address):
        skip_for_lack("This machine has no address but loopback.")
    return address


async def test_a_peer_that_is_not_loopback_needs_a_key_whatever_its_host_says() -> None:
    address = own_address()
    async with server(host="0.0.0.0") as made:
        url, local = f"http://{address}:{made.port}", {"Host": "127.0.0.1"}
        assert (await call(url, local)).status == 401
        assert (await call(url, {**local, **bearer("key-of-ci")})).text == "ci"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("localhost", True),
        ("LocalHost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("localhost.example", False),
        ("", False),
    ],
)
def test_loopback_is_what_only_this_machine_reaches(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "http://127.0.0.1:1", "file://", "https://app.example.evil"],
)
async def test_a_page_of_another_origin_is_refused_even_with_a_key(
    origin: str, method: str
) -> None:
    async with server() as made:
        answer = await call(made.url, {"Origin": origin, **bearer("key-of-ci")}, method=method)
        assert answer.status == 403
        assert "Access-Control-Allow-Origin" not in answer.headers


async def test_the_own_page_is_served() -> None:
    async with server() as made:
        assert (await call(made.url, {"Origin": made.url}, method="POST")).text == "local"
        behind_tls = {"Host": "parley.example", "Origin": "https://parley.example"}
        assert (await call(made.url, {**behind_tls, **basic("ann:pass:word")})).text == "ann"


async def test_a_page_that_points_its_name_at_this_machine_gets_nothing() -> None:
    async with server() as made:
        rebound = {"Host": "evil.example", "Origin": "http://evil.example"}
        assert (await call(made.url, rebound, method="POST")).status == 401


async def test_a_listed_page_may_call_and_read_the_answer() -> None:
    async with server() as made:
        answer = await call(made.url, {"Origin": PAGE, **TUNNELLED, **bearer("key-of-ci")})
        assert answer.text == "ci"
        assert answer.headers["Access-Control-Allow-Origin"] == PAGE
        assert answer.headers["Access-Control-Allow-Credentials"] == "true"
        assert answer.headers["Vary"] == "Origin"
        refused = await call(made.url, {"Origin": PAGE, **TUNNELLED})
        assert refused.status == 401
        assert refused.headers["Access-Control-Allow-Origin"] == PAGE


LISTED = ["tauri://localhost", "chrome-extension://abcdefghijklmnop", "file://", "null"]


@pytest.mark.parametrize("origin", LISTED)
async def test_a_listed_app_or_extension_may_call_and_read_the_answer(origin: str) -> None:
    async with server(cors_origins=(origin,)) as made:
        answer = await call(made.url, {"Origin": origin, **bearer("key-of-ci")}, method="POST")
        assert answer.text == "ci"
        assert answer.headers["Access-Control-Allow-Origin"] == origin
        assert ("Access-Control-Allow-Credentials" in answer.headers) is (origin != "null")
        keyless = await call(made.url, {"Origin": origin}, method="POST")
        assert keyless.status == (401 if origin == "null" else 200)


@pytest.mark.parametrize("with_keys", [False, True])
async def test_a_page_without_an_origin_never_counts_as_this_machine_s_own(
    with_keys: bool,
) -> None:
    async with server(cors_origins=("null",), with_keys=with_keys) as made:
        answer = await call(made.url, {"Origin": "null"}, method="POST")
        assert answer.status == 401
        assert "A page without an origin may be anybody's" in answer.text


async def test_a_listed_page_may_ask_first_without_its_key() -> None:
    asked = {
        "Origin": PAGE,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,x-parley-thread",
        **TUNNELLED,
    }
    async with server() as made:
        answer = await call(made.url, asked, method="OPTIONS")
        assert answer.status == 204
        assert "POST" in answer.headers["Access-Control-Allow-Methods"]
        assert "authorization" in answer.headers["Access-Control-Allow-Headers"]
        refused = await call(
            made.url, {**asked, "Origin": "https://evil.example"}, method="OPTIONS"
        )
        assert refused.status == 403


def test_a_plain_key_gets_a_name_that_does_not_tell_it() -> None:
    keys = named_keys(["ci:secret-1", "secret-2", "a:b:c"])
    assert keys["ci"] == "secret-1"
    assert keys["a"] == "b:c"
    (derived,) = keys.keys() - {"ci", "a"}
    assert keys[derived] == "secret-2"
    assert derived.startswith("key-")
    assert len(derived) == len("key-") + 6

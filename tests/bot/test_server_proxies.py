"""People who sign in at a proxy: it says who they are, and nobody else can."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from bot.adapter_support.addresses import ACCOUNT
from bot.errors import SettingsError
from bot.metrics import Metrics
from bot.server import Server, ServerSettings
from tests.bot.test_server_keys import bearer, call, exchange
from tests.fakes.readiness import always

ANN = {"X-Forwarded-User": "ann"}
ADDRESS = "127.0.0.1"


@asynccontextmanager
async def server(
    *proxies: str,
    host: str = ADDRESS,
    api_keys: dict[str, str] | None = None,
    cors_origins: tuple[str, ...] = (),
) -> AsyncIterator[Server]:
    async def who(request: web.Request) -> web.Response:
        return web.Response(text=request[ACCOUNT])

    settings = ServerSettings(
        host=host,
        port=0,
        api_keys={"ci": "key-of-ci"} if api_keys is None else api_keys,
        trusted_proxies=proxies,
        cors_origins=cors_origins,
    )
    made = Server(settings, Metrics(), always())
    made.mount([web.get("/who", who)])
    async with made:
        yield made


@pytest.mark.parametrize("proxy", [ADDRESS, "127.0.0.0/8", "::1, 127.0.0.1", "10.0.0.1, 127.0.0.1"])
async def test_whom_the_proxy_names_has_signed_in(proxy: str) -> None:
    async with server(*proxy.split(", ")) as made:
        answer = await call(made.url, ANN)
        assert (answer.status, answer.text) == (200, "user:ann")


@pytest.mark.parametrize("proxy", ["10.0.0.1", "::1", "10.0.0.0/8", "127.0.0.2"])
async def test_from_anybody_else_the_header_says_nothing(proxy: str) -> None:
    async with server(proxy) as made:
        assert (await call(made.url, ANN)).status == 401
        assert (await call(made.url, {**ANN, **bearer("key-of-ci")})).text == "ci"


async def test_without_trusted_proxies_a_header_only_shows_that_there_is_one() -> None:
    async with server() as made:
        assert (await call(made.url)).text == "local"
        assert (await call(made.url, ANN)).status == 401


async def test_the_connection_counts_and_not_what_a_header_claims_of_it() -> None:
    async with server("10.0.0.1") as made:
        forged = {
            "X-Forwarded-For": "10.0.0.1",
            "X-Real-IP": "10.0.0.1",
            "Forwarded": "for=10.0.0.1",
        }
        assert (await call(made.url, {**ANN, **forged})).status == 401


async def test_nobody_can_be_named_like_a_key() -> None:
    async with server(ADDRESS) as made:
        for name in ("ci", "local", "user:ci"):
            assert (await call(made.url, {"X-Forwarded-User": name})).text == f"user:{name}"


async def test_who_has_signed_in_is_that_person_whatever_key_their_program_sends() -> None:
    async with server(ADDRESS) as made:
        for key in ("key-of-ci", "made up"):
            assert (await call(made.url, {**ANN, **bearer(key)})).text == "user:ann"


async def test_behind_a_trusted_proxy_who_is_not_named_needs_a_key() -> None:
    async with server(ADDRESS) as made:
        assert (await call(made.url)).status == 401
        assert (await call(made.url, bearer("key-of-ci"))).text == "ci"


async def test_without_keys_the_refusal_says_where_to_sign_in() -> None:
    async with server(ADDRESS, api_keys={}) as made:
        refused = await call(made.url)
        assert refused.status == 401
        assert "signed in at the proxy in front of Parley" in refused.text


@pytest.mark.parametrize(
    "lines",
    [
        ["X-Forwarded-User: ann", "X-Forwarded-User: bob"],
        ["X-Forwarded-User: ann", "x-forwarded-user: ann"],
        ["X-Forwarded-User: ann, bob"],
        ["X-Forwarded-User:"],
        ["X-Forwarded-User:   "],
        ["X-Forwarded-User: a\tb"],
        ["X-Forwarded-User: a\u200eb"],
        [f"X-Forwarded-User: {'a' * 257}"],
    ],
)
async def test_what_names_no_one_person_is_refused(lines: list[str]) -> None:
    async with server(ADDRESS) as made:
        head = "\r\n".join([f"GET /who HTTP/1.1\r\nHost: {ADDRESS}", *lines, "Connection: close"])
        answer = await exchange(made, f"{head}\r\nAuthorization: Bearer key-of-ci\r\n\r\n")
    assert answer.startswith("HTTP/1.1 400 ")
    assert "The proxy must name one person in X-Forwarded-User" in answer


async def test_a_name_may_be_written_in_any_script() -> None:
    async with server(ADDRESS) as made:
        answer = await call(made.url, {"X-Forwarded-User": "Zoë Müller@example.com"})
        assert answer.text == "user:Zoë Müller@example.com"


@pytest.mark.parametrize(("origin", "status"), [("https://evil.example", 403), ("null", 401)])
async def test_another_sites_page_in_the_browser_of_who_has_signed_in_is_refused(
    origin: str, status: int
) -> None:
    async with server(ADDRESS, cors_origins=("null",)) as made:
        assert (await call(made.url, {**ANN, "Origin": origin})).status == status


async def test_a_sign_in_is_enough_to_listen_beyond_this_machine() -> None:
    async with server("10.0.0.1", host="0.0.0.0", api_keys={}) as made:
        assert made.port
    with pytest.raises(SettingsError):
        async with server(host="0.0.0.0", api_keys={}):
            await asyncio.sleep(0)

"""A page of another origin that asks Parley with a password, in a real browser."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Page

from tests.adapters.http.geniusrise.conftest import locked_server
from tests.adapters.http.geniusrise.page import LOGIN
from tests.browser import browser_page, require_chromium
from tests.fakes.clock import FakeClock
from tests.fakes.conversations import FakeConversations

ASKING = """
window.told = null;
fetch(%(address)s, {
    method: "POST",
    credentials: %(credentials)s,
    headers: {"Content-Type": "application/json", "Authorization": %(login)s},
    body: JSON.stringify({messages: [{role: "user", content: "Hi"}]}),
}).then(async answer => ({status: answer.status, body: await answer.json()}))
  .catch(problem => ({problem: String(problem)}))
  .then(told => { window.told = JSON.stringify(told) });
0
"""


@pytest.fixture
async def site() -> AsyncIterator[TestServer]:
    async def page(request: web.Request) -> web.Response:
        return web.Response(text="<!doctype html><title>A chat</title>", content_type="text/html")

    app = web.Application()
    app.add_routes([web.get("/", page)])
    site = TestServer(app)
    async with site:
        yield site


async def ask(
    page: Page, url: str, *, password: str = LOGIN[1], credentials: str = "include"
) -> dict[str, object]:
    values = {
        "address": f"{url}/api/v1/chat_llama_cpp",
        "credentials": credentials,
        "login": aiohttp.encode_basic_auth(LOGIN[0], password),
    }
    await page.evaluate(ASKING % {name: json.dumps(value) for name, value in values.items()})
    await page.wait_for_function("window.told")
    told: dict[str, object] = json.loads(await page.evaluate("window.told"))
    return told


@pytest.fixture
def chromium() -> None:
    require_chromium()


async def test_a_listed_page_reads_the_answer_and_an_unlisted_one_nothing(
    chromium: None, site: TestServer, clock: FakeClock
) -> None:
    listed, unlisted = (f"http://{host}:{site.port}" for host in ("127.0.0.1", "localhost"))
    conversations = FakeConversations()
    async with locked_server(conversations, clock, listed) as server, browser_page() as page:
        await page.goto(listed)
        told = await ask(page, server.url)
        # With its own credentials a browser would now ask its person for the password.
        refused = await ask(page, server.url, password="wrong", credentials="omit")
        await page.goto(unlisted)
        nothing = await ask(page, server.url)
    assert told["status"] == 200
    assert "Hello there" in json.dumps(told)
    assert refused["status"] == 401
    assert "401 Unauthorized" in json.dumps(refused)
    assert nothing == {"problem": "TypeError: Failed to fetch"}
    assert len(conversations.requests) == 1

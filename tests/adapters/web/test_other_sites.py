"""Another page, be it of this machine, gets nothing and changes nothing."""

from __future__ import annotations

import pytest

from tests.adapters.web.browser import Browser
from tests.adapters.web.calls import CHANGES, OWNED, call
from tests.adapters.web.conftest import Open, Serve
from tests.fakes.chats import FakeChats

FORMS = ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x", ""]
SIGN_INS = [("POST", "/page/sign-in"), ("POST", "/page/sign-out"), ("POST", "/page/chats/import")]


async def visited(browser: Browser) -> tuple[str, str]:
    chat, turn = await browser.ask("Mine")
    return chat, turn


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "http://127.0.0.1:1",
        "http://localhost:{port}",
        "null",
        "https://listed.example",
        "",
    ],
)
async def test_a_page_of_another_origin_is_refused(
    serve: Serve, browse: Open, chats: FakeChats, origin: str
) -> None:
    server = await serve(cors_origins=("https://listed.example",))
    browser = await browse(server)
    chat, turn = await visited(browser)
    before = await chats.chat(browser.owner, chat)
    browser.session.headers["Origin"] = origin.format(port=server.port)
    for route in OWNED:
        reply = await call(browser, route, chat, turn)
        assert (reply.status, "own page" in reply.sentence) == (403, True), route
        assert "Access-Control-Allow-Origin" not in reply.headers
    assert await chats.chat(browser.owner, chat) == before


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_what_a_browser_says_of_the_page_that_asks_counts(
    serve: Serve, browse: Open, site: str
) -> None:
    browser = await browse(await serve())
    chat, turn = await visited(browser)
    browser.session.headers["Sec-Fetch-Site"] = site
    for route in OWNED:
        assert (await call(browser, route, chat, turn)).status == 403, route


@pytest.mark.parametrize("kind", FORMS)
async def test_a_form_changes_nothing(
    serve: Serve, browse: Open, chats: FakeChats, kind: str
) -> None:
    """As old browsers send it: without a word of where it comes from."""
    browser = await browse(await serve())
    chat, turn = await visited(browser)
    before = await chats.chat(browser.owner, chat)
    for method, path in [each for each in CHANGES if each[0] != "DELETE"] + SIGN_INS:
        reply = await browser.call(
            *(method, path.format(chat=chat, turn=turn)),
            data=b'{"text": "x"}',
            headers={"Content-Type": kind} if kind else {},
            skip_auto_headers=["Content-Type"],
        )
        assert (reply.status, "Content-Type" in reply.sentence) == (415, True), path
    assert await chats.chat(browser.owner, chat) == before


async def test_the_page_itself_may_do_all_of_it(serve: Serve, browse: Open) -> None:
    server = await serve()
    browser = await browse(server)
    browser.session.headers["Origin"] = server.url
    browser.session.headers["Sec-Fetch-Site"] = "same-origin"
    chat, turn = await visited(browser)
    for route in OWNED[:-1]:
        reply = await call(browser, route, chat, turn)
        assert reply.status in (200, 204, 404), reply.text


async def test_an_export_may_be_opened_from_the_address_bar(serve: Serve, browse: Open) -> None:
    browser = await browse(await serve())
    chat, _ = await visited(browser)
    browser.session.headers["Sec-Fetch-Site"] = "none"
    assert (await browser.get(f"/page/chats/{chat}/export")).status == 200
    assert (await browser.post(f"/page/chats/{chat}/turns", {"text": "x"})).status == 403


@pytest.mark.parametrize("path", ["/", "/page/page.css", "/page/state", "/page/chats"])
async def test_nothing_runs_in_the_page_but_parley_s_own(
    serve: Serve, browse: Open, path: str
) -> None:
    browser = await browse(await serve())
    headers = (await browser.get(path)).headers
    policy = [each.strip() for each in headers["Content-Security-Policy"].split(";")]
    assert policy[:2] == ["default-src 'self'", "img-src 'self' data:"]
    assert {"frame-ancestors 'none'", "base-uri 'none'", "object-src 'none'"} <= {*policy}
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"


@pytest.mark.parametrize("path", ["/page/state", "/page/chats", "/page/chats/nothing"])
async def test_no_disk_of_a_browser_keeps_chats(serve: Serve, browse: Open, path: str) -> None:
    browser = await browse(await serve())
    assert (await browser.get(path)).headers["Cache-Control"] == "no-store"
    page = await browser.watch()
    assert page.headers["Cache-Control"] == "no-store"
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]

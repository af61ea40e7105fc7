"""Signing in at the page with a key, and out again."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from tests.adapters.web.browser import Browser, Reply
from tests.adapters.web.conftest import Open, Serve
from tests.fakes.clock import FakeClock

KEYS = {"api_keys": {"ann": "ann-key", "bob": "bob-key"}, "is_public": True}
DAY = 24 * 3600


async def sign_in(browser: Browser, key: str = "ann-key") -> Reply:
    return await browser.post("/page/sign-in", {"key": key})


async def name(browser: Browser) -> str | None:
    """Who the page says one is; None: it asks for a key."""
    reply = await browser.load()
    return reply.json["owner"]["name"] if reply.status == 200 else None


async def test_a_key_that_is_given_once_is_enough(serve: Serve, browse: Open) -> None:
    browser = await browse(await serve(**KEYS), loads=False)
    reply = await sign_in(browser)
    assert (reply.status, reply.text) == (204, "")
    assert "HttpOnly" in reply.headers["Set-Cookie"]
    assert "SameSite=Strict" in reply.headers["Set-Cookie"]
    assert (await browser.load()).json["can_sign_out"] is True
    assert await name(browser) == "ann"
    chat, _ = await browser.ask("Mine")
    page = await browser.watch(chat)
    assert (await page.next()).name == "turn"


@pytest.mark.parametrize("key", ["wrong", "ann-ke", "Ann-Key", "ann:ann-key", "ä", "\ud800", " "])
async def test_a_wrong_key_is_said_to_be_wrong(serve: Serve, browse: Open, key: str) -> None:
    browser = await browse(await serve(**KEYS), loads=False)
    reply = await sign_in(browser, key)
    assert (reply.status in (400, 401), bool(reply.sentence)) == (True, True)
    assert "Set-Cookie" not in reply.headers
    assert await name(browser) is None


async def test_blanks_around_a_key_that_was_pasted_do_not_matter(
    serve: Serve, browse: Open
) -> None:
    browser = await browse(await serve(**KEYS), loads=False)
    assert (await sign_in(browser, " ann-key\n")).status == 204


async def test_parley_s_own_key_signs_nobody_in(serve: Serve, browse: Open) -> None:
    browser = await browse(await serve(**KEYS, own_key="own-key"), loads=False)
    assert (await sign_in(browser, "own-key")).status == 401


async def test_signing_out_ends_it_also_for_who_has_copied_the_cookie(
    serve: Serve, browse: Open
) -> None:
    server = await serve(**KEYS)
    browser, other = await browse(server, loads=False), await browse(server, loads=False)
    await sign_in(browser)
    await sign_in(other)
    thief = await browse(server, Cookie=f"parley_sign_in={browser.cookies['parley_sign_in']}")
    assert await name(thief) == "ann"
    assert (await browser.post("/page/sign-out")).status == 204
    assert (await name(browser), await name(thief)) == (None, None)
    assert "parley_sign_in" not in browser.cookies
    assert await name(other) == "ann"


async def test_signing_out_ends_what_other_windows_watch(
    serve: Serve, browse: Open, clock: FakeClock
) -> None:
    browser = await browse(await serve(**KEYS), loads=False)
    await sign_in(browser)
    page = await browser.watch()
    await clock.advance(20.0)
    await browser.ask("Still here")
    assert (await page.next()).data["title"] == "Still here"
    await browser.post("/page/sign-out")
    await clock.advance(20.0)
    await page.end()
    assert await page.connect() == 401


async def test_a_sign_in_outlives_parley_but_not_its_key(serve: Serve, browse: Open) -> None:
    browser = await browse(await serve(**KEYS), loads=False)
    await sign_in(browser)
    secret = browser.cookies["parley_sign_in"]

    async def name_with(**keys: str) -> str | None:
        server = await serve(api_keys=keys, is_public=True)
        return await name(await browse(server, Cookie=f"parley_sign_in={secret}"))

    assert await name_with(ann="ann-key", bob="bob-key") == "ann"
    assert await name_with(ann="another-key") is None
    assert await name_with(bob="ann-key") is None
    assert await name_with(ann="ann-key") == "ann"


async def test_a_sign_in_ends_after_a_while(serve: Serve, browse: Open, clock: FakeClock) -> None:
    browser = await browse(await serve(**KEYS), loads=False)
    await sign_in(browser)
    await clock.advance(89 * DAY)
    assert await name(browser) == "ann"
    await clock.advance(2 * DAY)
    assert await name(browser) is None


async def test_neither_key_nor_secret_is_on_disk(
    serve: Serve, browse: Open, tmp_path: Path
) -> None:
    browser = await browse(await serve(**KEYS), loads=False)
    await sign_in(browser)
    (file,) = (tmp_path / "web").iterdir()
    text = file.read_text()
    assert "ann-key" not in text
    assert browser.cookies["parley_sign_in"] not in text
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"a": 1}', '{"a": {"name": "ann"}}', '{"a": null}', "\x00"]
)
async def test_a_broken_file_signs_people_out_and_stops_nobody(
    serve: Serve, browse: Open, tmp_path: Path, text: str
) -> None:
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "sign_ins.json").write_text(text)
    browser = await browse(await serve(**KEYS), loads=False)
    assert await name(browser) is None
    assert (await sign_in(browser)).status == 204
    assert await name(browser) == "ann"


@pytest.mark.parametrize("path", ["/metrics", "/v1/models"])
async def test_a_sign_in_at_the_page_opens_nothing_else(
    serve: Serve, browse: Open, path: str
) -> None:
    browser = await browse(await serve(**KEYS), loads=False)
    await sign_in(browser)
    assert (await browser.get(path)).status == 401


async def test_where_people_have_passwords_the_browser_asks_for_one(
    serve: Serve, browse: Open
) -> None:
    server = await serve(basic_auth={"ann": "pa55"}, is_public=True)
    browser = await browse(server, loads=False)
    reply = await browser.get("/")
    assert (reply.status, reply.headers["WWW-Authenticate"][:5]) == (401, "Basic")
    assert "<html" in reply.text  # for those who have a key instead
    assert (await browser.load()).headers["WWW-Authenticate"] == "Bearer"
    login = base64.b64encode(b"ann:pa55").decode()
    known = await browse(server, Authorization=f"Basic {login}")
    assert (await known.get("/")).status == 200
    assert await name(known) == "ann"
    assert (await sign_in(browser, "ann:pa55")).status == 204
    assert (await browser.get("/")).status == 200


async def test_a_disk_that_takes_nothing_keeps_nobody_out_or_in(
    serve: Serve, browse: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "web").write_text("a file where a folder should be")
    browser = await browse(await serve(**KEYS), loads=False)
    assert (await sign_in(browser)).status == 204
    assert await name(browser) == "ann"
    assert "sign_ins.json cannot be written" in caplog.text
    secret = browser.cookies
    assert (await browser.post("/page/sign-out")).status == 204
    browser.session.cookie_jar.update_cookies(secret)
    assert await name(browser) is None

"""Whose chats a request is about: nobody ever sees another's."""

from __future__ import annotations

import asyncio
from http.cookies import SimpleCookie

import pytest

from bot.chats import Owner
from tests.adapters.web.browser import Browser, Reply
from tests.adapters.web.calls import OWNED, call
from tests.adapters.web.conftest import Open, Serve
from tests.fakes.chats import FakeChats

KEYS = {"api_keys": {"ann": "ann-key", "bob": "bob-key"}, "is_public": True}


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def cookie_of(reply: Reply, name: str) -> SimpleCookie:
    cookie = SimpleCookie(reply.headers["Set-Cookie"])
    assert list(cookie) == [name]
    return cookie


async def titles(browser: Browser) -> list[str]:
    return [each["title"] for each in (await browser.get("/page/chats")).json["chats"]]


async def test_what_another_browser_began_is_unknown_to_this_one(
    serve: Serve, browse: Open, chats: FakeChats
) -> None:
    server = await serve()
    ann, bob = await browse(server), await browse(server)
    chat, turn = await ann.ask("Anns secret question")
    chats.end(ann.owner, turn, "The answer")
    before = await chats.chat(ann.owner, chat)
    for route in OWNED:
        reply = await call(bob, route, chat, turn)
        if route[1].startswith("/page/chats") and "{" not in route[1]:
            assert reply.json == {"chats": []}
        else:
            assert (reply.status, reply.sentence) == (404, "There is no such chat (any more).")
    assert await chats.chat(ann.owner, chat) == before


async def test_what_changes_for_one_is_not_told_to_another(
    serve: Serve, browse: Open, chats: FakeChats
) -> None:
    server = await serve()
    ann, bob = await browse(server), await browse(server)
    page = await bob.watch()
    await ann.ask("Anns secret question")
    await bob.ask("Mine")
    first = await page.next()
    assert (first.name, first.data["title"]) == ("chat", "Mine")


async def test_a_browser_is_known_by_a_cookie_that_no_script_and_no_other_site_has(
    serve: Serve, browse: Open
) -> None:
    browser = await browse(await serve(), loads=False)
    cookie = cookie_of(await browser.load(), "parley_owner")["parley_owner"]
    assert len(cookie.value) >= 43
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/")
    assert int(cookie["max-age"]) >= 365 * 24 * 3600
    assert not cookie["secure"]
    assert not cookie["domain"]


async def test_the_cookie_goes_over_tls_only_where_others_come_that_way(
    serve: Serve, browse: Open
) -> None:
    browser = await browse(await serve(page={"is_secure": True}), loads=False)
    assert cookie_of(await browser.load(), "parley_owner")["parley_owner"]["secure"]


async def test_a_browser_stays_the_same_over_every_visit(serve: Serve, browse: Open) -> None:
    browser = await browse(await serve())
    await browser.ask("Mine")
    await browser.get("/")
    await browser.load()
    assert await titles(browser) == ["Mine"]


async def test_a_visit_from_a_link_elsewhere_makes_nobody_anew(serve: Serve, browse: Open) -> None:
    """Such a request comes without the strict cookie, which must not be replaced then."""
    browser = await browse(await serve(), loads=False)
    reply = await browser.get("/", headers={"Sec-Fetch-Site": "cross-site"})
    assert reply.status == 200
    assert "Set-Cookie" not in reply.headers


@pytest.mark.parametrize("value", ["", "short", "a" * 44, "ä" * 43, "x" * 42 + "!", '"quoted"'])
async def test_a_cookie_that_was_made_up_is_replaced(
    serve: Serve, browse: Open, value: str
) -> None:
    browser = await browse(await serve(), loads=False, Cookie=f"parley_owner={value}")
    assert (await browser.get("/page/chats")).status == 401
    assert cookie_of(await browser.load(), "parley_owner")["parley_owner"].value != value


async def test_a_browser_that_is_not_known_yet_is_told_to_load_the_page(
    serve: Serve, browse: Open
) -> None:
    browser = await browse(await serve(), loads=False)
    for route in OWNED:
        reply = await call(browser, route, "chat1", "turn1")
        assert (reply.status, "load the page" in reply.sentence) == (401, True), route


async def test_the_terminal_has_chats_of_its_own(
    serve: Serve, browse: Open, chats: FakeChats
) -> None:
    server = await serve(own_key="own-key")
    browser = await browse(server)
    first = await browse(server, loads=False, **bearer("own-key"))
    again = await browse(server, loads=False, **bearer("own-key"))
    await first.ask("From the terminal")
    assert await titles(again) == ["From the terminal"]
    assert await titles(browser) == []
    assert len(await chats.chats(Owner("local", "terminal"))) == 1
    assert "Set-Cookie" not in (await first.load()).headers


async def test_a_made_up_key_makes_nobody_the_terminal(serve: Serve, browse: Open) -> None:
    server = await serve(own_key="own-key")
    terminal = await browse(server, loads=False, **bearer("own-key"))
    await terminal.ask("From the terminal")
    other = await browse(server, **bearer("another"))
    assert await titles(other) == []


async def test_each_key_has_chats_of_its_own_in_every_browser(
    serve: Serve, browse: Open, chats: FakeChats
) -> None:
    server = await serve(**KEYS)
    ann, phone = [await browse(server, **bearer("ann-key")) for _ in range(2)]
    bob = await browse(server, **bearer("bob-key"))
    await ann.ask("Anns")
    assert (await titles(phone), await titles(bob)) == (["Anns"], [])
    assert [each.title for each in await chats.chats(Owner("ann", "ann"))] == ["Anns"]
    state = (await ann.load()).json
    assert (state["owner"], state["is_admin"]) == ({"name": "ann"}, True)
    assert not (await bob.load()).json["is_admin"]


async def test_without_a_key_a_public_parley_shows_nothing(serve: Serve, browse: Open) -> None:
    browser = await browse(await serve(**KEYS), loads=False)
    for route in [*OWNED, ("GET", "/page/state")]:
        reply = await call(browser, route, "chat1", "turn1")
        assert (reply.status, reply.headers["WWW-Authenticate"]) == (401, "Bearer"), route
        assert "key" in reply.sentence
        assert "Set-Cookie" not in reply.headers


async def test_the_page_itself_is_open_and_holds_nothing(serve: Serve, browse: Open) -> None:
    browser = await browse(await serve(**KEYS), loads=False)
    for path in ("/", "/page/page.css", "/page/page.js"):
        assert (await browser.get(path)).status == 200


async def test_people_who_sign_in_at_a_proxy_have_their_own(
    serve: Serve, browse: Open, chats: FakeChats
) -> None:
    server = await serve(trusted_proxies=("127.0.0.1",))
    ann = await browse(server, **{"X-Forwarded-User": "ann"})
    bob = await browse(server, **{"X-Forwarded-User": "bob"})
    await ann.ask("Anns")
    assert (await titles(ann), await titles(bob)) == (["Anns"], [])
    assert len(await chats.chats(Owner("user:ann", "ann"))) == 1
    nobody = await browse(server, loads=False)
    assert "signed in at the proxy" in (await nobody.load()).sentence


async def test_two_pages_of_one_person_see_the_same_chat_grow(
    serve: Serve, browse: Open, chats: FakeChats
) -> None:
    server = await serve(**KEYS)
    desk, phone = [await browse(server, **bearer("ann-key")) for _ in range(2)]
    chat, turn = await desk.ask("Anns")
    pages = [await each.watch(chat) for each in (desk, phone)]
    for page in pages:
        await page.until("turn")
    chats.grow(Owner("ann", "ann"), turn, "Hello")
    grown = await asyncio.gather(*(page.until("grow") for page in pages))
    assert [each.data["blocks"] for each in grown] == [['<p dir="auto">Hello</p>']] * 2

"""The page itself, as a browser loads it."""

from __future__ import annotations

import gzip

import pytest

from tests.adapters.web.conftest import Open, Serve

FILES = {"/": "text/html", "/page/page.css": "text/css", "/page/page.js": "text/javascript"}
MAX_WEIGHT = 60_000


@pytest.mark.parametrize("path", FILES)
async def test_each_file_comes_once_and_is_asked_after_from_then_on(
    serve: Serve, browse: Open, path: str
) -> None:
    browser = await browse(await serve())
    first = await browser.get(path)
    assert (first.status, first.headers["Cache-Control"]) == (200, "no-cache")
    assert first.headers["Content-Type"] == f"{FILES[path]}; charset=utf-8"
    tag = first.headers["ETag"]
    for known in (tag, tag.removeprefix("W/"), f'"other", {tag}', "*"):
        again = await browser.get(path, headers={"If-None-Match": known})
        assert (again.status, again.text, again.headers["ETag"]) == (304, "", tag)
    other = await browser.get(path, headers={"If-None-Match": '"other"'})
    assert (other.status, other.text) == (200, first.text)
    assert (await browser.call("HEAD", path)).status == 200


@pytest.mark.parametrize("path", FILES)
async def test_it_is_compressed_for_who_can_read_that(
    serve: Serve, browse: Open, path: str
) -> None:
    browser = await browse(await serve())
    browser.session._auto_decompress = False
    async with browser.session.get(f"{browser.url}{path}") as response:
        assert response.headers["Content-Encoding"] == "gzip"
        assert response.headers["Vary"] == "Accept-Encoding"
        packed = await response.read()
    plain = await browser.get(path, headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers
    assert gzip.decompress(packed).decode() == plain.text
    assert len(packed) < len(plain.text.encode())


async def test_the_page_is_light(serve: Serve, browse: Open) -> None:
    browser = await browse(await serve())
    plain = {"Accept-Encoding": "identity"}
    replies = [await browser.get(path, headers=plain) for path in FILES]
    assert sum(len(reply.text.encode()) for reply in replies) < MAX_WEIGHT


async def test_the_page_holds_nothing_of_a_chat(serve: Serve, browse: Open) -> None:
    browser = await browse(await serve())
    before = (await browser.get("/")).text
    await browser.ask("A very secret question")
    assert (await browser.get("/")).text == before

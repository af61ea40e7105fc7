"""Somebody asks about an address: it is read, or one sentence says why not."""

from __future__ import annotations

import asyncio

import pytest

from bot.documents.document import Document
from bot.documents.reader import DocumentReader
from bot.reading.page import PageFailed, PageRefused
from bot.reading.reader import MAX_CHARACTERS
from tests.bot.reading.site import Answer, Readers, Site, answering, read, sending_on
from tests.lacking import skip_for_lack

ARTICLE = f"""<!doctype html><html><head><title>Snow in the valley</title></head><body>
<nav><a href="/">Home</a></nav><main><article><h1>Snow in the valley</h1>
<p>{"Snow has fallen in the valley since Monday, more than in the ten years before. " * 4}</p>
<p>The school stays closed until Tuesday. <a href="roads">Which roads are open</a> is known.</p>
</article></main></body></html>"""


@pytest.fixture
def readers() -> Readers:
    return Readers()


async def test_a_page_is_read_and_people_see_which(readers: Readers) -> None:
    told: list[str] = []
    async with Site({"/news": "Snow on Monday."}) as site, readers.reader(site.host) as reader:
        page = await reader.read(site.url("/news#top"), told.append)
    assert (page.text, page.address, page.kind) == ("Snow on Monday.", site.url("/news"), "page")
    assert told == ["reading 127.0.0.1"]
    assert readers.count("read") == 1


async def test_redirects_are_followed_to_the_page(readers: Readers) -> None:
    pages: dict[str, str | Answer] = {
        "/a": sending_on("/b", 301),
        "/b": sending_on("c"),
        "/c": "Here.",
    }
    async with Site(pages) as site, readers.reader(site.host) as reader:
        page = await read(reader, site.url("/a"))
    assert (page.text, page.address) == ("Here.", site.url("/c"))


async def test_a_redirect_to_another_port_of_this_machine_is_refused(readers: Readers) -> None:
    async with (
        Site({"/": "The inner page."}) as inner,
        Site({"/": sending_on(inner.url())}) as site,
        readers.reader(site.host) as reader,
    ):
        with pytest.raises(PageRefused, match=r"127\.0\.0\.1 is not a public address\."):
            await read(reader, site.url())
    assert inner.asked == []
    assert readers.count("refused") == 1


async def test_redirects_without_end_are_a_sentence(readers: Readers) -> None:
    async with Site({"/": sending_on("/")}) as site, readers.reader(site.host) as reader:
        with pytest.raises(PageFailed, match="without end"):
            await read(reader, site.url())
    assert len(site.asked) == 6
    assert readers.count("failed") == 1


@pytest.mark.parametrize("location", ["//a[b]@/", "http://xn--/", "http://xn--xn--.example/"])
async def test_a_redirect_to_no_address_is_a_sentence(readers: Readers, location: str) -> None:
    async with Site({"/": sending_on(location)}) as site, readers.reader(site.host) as reader:
        with pytest.raises(PageRefused, match="address"):
            await read(reader, site.url())


async def test_a_defect_in_reading_is_a_sentence_and_logged_without_the_address(
    readers: Readers, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(DocumentReader):
        async def read(self, *_: object) -> Document:
            raise OSError("no process is left")

    async with (
        Site({"/secret": "Snow."}) as site,
        readers.reader(site.host, documents=Broken()) as reader,
    ):
        with pytest.raises(PageFailed, match=r"^I cannot read what 127\.0\.0\.1 sends\.$"):
            await read(reader, site.url("/secret"))
    assert readers.count("failed") == 1
    assert "no process is left" in caplog.text
    assert "secret" not in caplog.text


async def test_a_title_without_end_is_cut(readers: Readers) -> None:
    long = ARTICLE.replace("Snow in the valley</title>", "Snow " * 100_000 + "</title>")
    page = answering(body=long.encode(), content_type="text/html")
    async with Site({"/": page}) as site, readers.reader(site.host) as reader:
        assert len((await read(reader, site.url())).title) == 300


async def test_a_page_is_its_main_text_with_whole_addresses(readers: Readers) -> None:
    page = answering(body=ARTICLE.encode(), content_type="text/html")
    async with Site({"/news/": page}) as site, readers.reader(site.host) as reader:
        found = await read(reader, site.url("/news/"))
    assert found.title == "Snow in the valley"
    assert "closed until Tuesday" in found.text
    assert f"({site.url('/news/roads')})" in found.text
    assert found.kind == "page"


async def test_a_feed_is_its_entries(readers: Readers) -> None:
    feed = (
        "<rss version='2.0'><channel><title>School</title><item><title>Closed on Monday</title>"
        "<link>/closed</link></item></channel></rss>"
    )
    page = answering(text=feed, content_type="text/xml")
    async with Site({"/feed": page}) as site, readers.reader(site.host) as reader:
        found = await read(reader, site.url("/feed"))
    assert (found.kind, found.title) == ("feed", "School")
    assert "Closed on Monday" in found.text


async def test_of_a_very_long_page_the_beginning_is_read(readers: Readers) -> None:
    async with Site({"/": "Snow. " * 40_000}) as site, readers.reader(site.host) as reader:
        page = await read(reader, site.url())
    assert (len(page.text), page.is_cut) == (MAX_CHARACTERS, True)


async def test_ipv6_is_read_as_well(readers: Readers) -> None:
    try:
        server = await asyncio.start_server(_say_snow, "::1", 0)
    except OSError:
        skip_for_lack("This machine has no IPv6.")
    host = f"[::1]:{server.sockets[0].getsockname()[1]}"
    async with server, readers.reader(host) as reader:
        assert (await read(reader, f"http://{host}/")).text == "Snow."


async def _say_snow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nSnow.")
    writer.close()

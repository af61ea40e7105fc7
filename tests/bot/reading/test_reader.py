"""Somebody asks about an address: it is read, or one sentence says why not."""

from __future__ import annotations

import pytest

from bot.reading.page import PageFailed, PageRefused
from tests.bot.reading.site import Answer, Readers, Site, read, sending_on


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

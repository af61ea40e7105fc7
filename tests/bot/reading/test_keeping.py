"""What was read is used again for minutes, and asked for once by many."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager

import pytest
from aiohttp import web
from yarl import URL

from bot.documents.document import Document, DocumentKind
from bot.documents.reader import DocumentReader
from bot.reading.page import Page, PageFailed
from bot.reading.reader import KeptPage, PageCache, PageReader
from tests.bot.reading.site import Answer, Readers, Site, answering, raw_site, read, sending_on


class InstantReader(DocumentReader):
    """Without a process: these tests are about what is fetched."""

    async def read(
        self, data: bytes, kind: DocumentKind, max_characters: int, address: str = ""
    ) -> Document:
        return Document(data.decode())


@pytest.fixture
def readers() -> Readers:
    return Readers()


def reader_of(
    readers: Readers, *allowed: str, robots: bool = False
) -> AbstractAsyncContextManager[PageReader]:
    return readers.reader(*allowed, robots=robots, documents=InstantReader())


async def test_a_page_of_which_nothing_is_said_is_kept_for_five_minutes(readers: Readers) -> None:
    async with Site({"/": "Snow."}) as site, reader_of(readers, site.host) as reader:
        await read(reader, site.url())
        await readers.clock.advance(299)
        assert (await read(reader, site.url("/#snow"))).text == "Snow."
        assert len(site.asked) == 1
        await readers.clock.advance(2)
        site.pages["/"] = "Sun."
        assert (await read(reader, site.url())).text == "Sun."
    assert (readers.count("read"), readers.count("cached")) == (2, 1)


async def test_no_page_is_kept_for_more_than_an_hour(readers: Readers) -> None:
    page = answering(text="Snow.", headers={"Cache-Control": "max-age=31536000"})
    async with Site({"/": page}) as site, reader_of(readers, site.host) as reader:
        await read(reader, site.url())
        await readers.clock.advance(3599)
        await read(reader, site.url())
        await readers.clock.advance(2)
        await read(reader, site.url())
    assert len(site.asked) == 2


@pytest.mark.parametrize("said", ["no-store", "private, max-age=600", "max-age=0", "no-cache"])
async def test_a_page_that_is_not_to_be_kept_is_asked_for_each_time(
    readers: Readers, said: str
) -> None:
    page = answering(text="Snow.", headers={"Cache-Control": said})
    async with Site({"/": page}) as site, reader_of(readers, site.host) as reader:
        await read(reader, site.url())
        await read(reader, site.url())
    assert len(site.asked) == 2


async def test_a_page_that_has_not_changed_is_not_sent_again(readers: Readers) -> None:
    async def page(request: web.Request) -> web.Response:
        headers = {"ETag": '"1"', "Cache-Control": "max-age=60"}
        if request.headers.get("If-None-Match") == '"1"':
            return web.Response(status=304, headers={**headers, "Cache-Control": "max-age=600"})
        return web.Response(text="Snow.", headers=headers)

    async with Site({"/": page}) as site, reader_of(readers, site.host) as reader:
        await read(reader, site.url())
        await readers.clock.advance(61)
        assert (await read(reader, site.url())).text == "Snow."
        await readers.clock.advance(599)
        assert (await read(reader, site.url())).text == "Snow."
    assert len(site.asked) == 2
    assert [readers.count(each) for each in ("read", "revalidated", "cached")] == [1, 1, 1]


async def test_a_page_that_has_changed_is_read_anew(readers: Readers) -> None:
    async def page(request: web.Request) -> web.Response:
        tag = f'"{len(site.asked)}"'
        headers = {"ETag": tag, "Cache-Control": "no-cache"}
        return web.Response(text=f"Snow {tag}", headers=headers)

    async with Site({"/": page}) as site, reader_of(readers, site.host) as reader:
        assert (await read(reader, site.url())).text == 'Snow "1"'
        assert (await read(reader, site.url())).text == 'Snow "2"'
        await read(reader, site.url())
    assert [request.headers.get("If-None-Match") for request in site.asked] == [None, '"1"', '"2"']


async def test_a_page_that_fails_once_is_not_kept(readers: Readers) -> None:
    pages: dict[str, str | Answer] = {"/": answering(status=503)}
    async with Site(pages) as site, reader_of(readers, site.host) as reader:
        with pytest.raises(PageFailed):
            await read(reader, site.url())
        site.pages["/"] = "Snow."
        assert (await read(reader, site.url())).text == "Snow."


async def test_a_redirect_for_now_is_asked_for_each_time_and_one_for_good_is_not(
    readers: Readers,
) -> None:
    pages: dict[str, str | Answer] = {
        "/now": sending_on("/", 302),
        "/good": sending_on("/", 301),
        "/": "Snow.",
    }
    async with Site(pages) as site, reader_of(readers, site.host) as reader:
        for path in ("/now", "/now", "/good", "/good"):
            assert (await read(reader, site.url(path))).address == site.url()
    assert site.paths == ["/now", "/", "/now", "/good"]


async def test_those_who_ask_at_the_same_time_share_one_fetch(readers: Readers) -> None:
    is_asked, may_answer = asyncio.Event(), asyncio.Event()

    async def page(request: web.Request) -> web.Response:
        is_asked.set()
        await may_answer.wait()
        return web.Response(text="Snow.", headers={"Cache-Control": "no-store"})

    async with Site({"/": page}) as site, reader_of(readers, site.host) as reader:
        impatient, *others = [asyncio.create_task(read(reader, site.url())) for _ in range(3)]
        await is_asked.wait()
        impatient.cancel()
        with pytest.raises(asyncio.CancelledError):
            await impatient
        may_answer.set()
        assert [(await other).text for other in others] == ["Snow.", "Snow."]
    assert len(site.asked) == 1
    assert readers.count("read") == 1


async def test_a_failure_is_told_to_all_who_share_it(readers: Readers) -> None:
    pages = {"/": answering(status=403)}
    async with Site(pages) as site, reader_of(readers, site.host) as reader:
        asking = (read(reader, site.url()) for _ in range(3))
        found = await asyncio.gather(*asking, return_exceptions=True)
    assert {type(each) for each in found} == {PageFailed}
    assert len(site.asked) == 1


async def test_when_nobody_waits_any_more_the_connection_ends(readers: Readers) -> None:
    is_asked, is_cut_off = asyncio.Event(), asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_asked.set()
        await reader.read()
        is_cut_off.set()

    async with raw_site(silent) as host, reader_of(readers, host) as reader:
        waiting = [asyncio.create_task(read(reader, f"http://{host}/")) for _ in range(2)]
        await is_asked.wait()
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        await is_cut_off.wait()
    assert readers.count("stopped") == 1


async def test_when_nobody_waits_any_more_the_child_process_is_told(readers: Readers) -> None:
    class Slow(DocumentReader):
        async def read(
            self, data: bytes, kind: DocumentKind, max_characters: int, address: str = ""
        ) -> Document:
            is_reading.set()
            try:
                await asyncio.Event().wait()
            finally:
                is_ended.set()
            return Document("")

    is_reading, is_ended = asyncio.Event(), asyncio.Event()
    async with (
        Site({"/": "Snow."}) as site,
        readers.reader(site.host, documents=Slow()) as reader,
    ):
        task = asyncio.create_task(read(reader, site.url()))
        await is_reading.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert is_ended.is_set()


def page_of(num_characters: int) -> KeptPage:
    return KeptPage(Page("http://example.org/", "", "a" * num_characters), 0.0)


def test_what_was_used_least_recently_goes_first() -> None:
    cache = PageCache(max_pages=2)
    one, two, three = (URL(f"http://example.org/{each}") for each in (1, 2, 3))
    cache.put(one, page_of(1))
    cache.put(two, page_of(1))
    assert cache.get(one)
    cache.put(three, page_of(1))
    assert [url for url in (one, two, three) if cache.get(url)] == [one, three]


def test_the_cache_holds_so_many_characters() -> None:
    cache = PageCache(max_characters=100)
    one, two = URL("http://example.org/1"), URL("http://example.org/2")
    cache.put(one, page_of(60))
    cache.put(one, page_of(50))
    cache.put(two, page_of(50))
    assert cache.get(one)
    assert cache.get(two)
    cache.put(two, page_of(51))
    assert not cache.get(one)
    cache.put(one, page_of(101))
    assert not cache.get(one)

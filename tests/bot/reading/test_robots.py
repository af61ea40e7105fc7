"""A site says what programs may read, and is obeyed unless the settings say otherwise."""

from __future__ import annotations

import pytest

from bot.reading.page import PageFailed, PageRefused
from tests.bot.reading.site import Answer, Readers, Site, answering, read, sending_on
from tests.bot.reading.test_keeping import reader_of

RULES = """
User-agent: *
Disallow: /private/
Disallow: /*.pdf$
Allow: /private/open

User-agent: GreedyBot
Disallow: /
"""


@pytest.fixture
def readers() -> Readers:
    return Readers()


def pages(robots: str | Answer | None) -> dict[str, str | Answer]:
    paths = ("/", "/private/a", "/private/open", "/a.pdf", "/a.pdf.html")
    found: dict[str, str | Answer] = dict.fromkeys(paths, "Snow.")
    return found if robots is None else found | {"/robots.txt": robots}


@pytest.mark.parametrize(
    ("path", "may_be_read"),
    [
        ("/", True),
        ("/private/open", True),  # the longest rule counts
        ("/a.pdf.html", True),
        ("/private/a", False),
        ("/a.pdf", False),
    ],
)
async def test_rules_are_obeyed(readers: Readers, path: str, may_be_read: bool) -> None:
    async with Site(pages(RULES)) as site, reader_of(readers, site.host, robots=True) as reader:
        if may_be_read:
            assert (await read(reader, site.url(path))).text == "Snow."
        else:
            with pytest.raises(PageRefused, match="asks programs"):
                await read(reader, site.url(path))
    assert site.paths == ["/robots.txt", path][: 1 + may_be_read]
    assert readers.count("refused") == (not may_be_read)


async def test_rules_for_parley_by_name_go_before_those_for_all(readers: Readers) -> None:
    rules = "User-agent: parley\nDisallow: /a.pdf\n\nUser-agent: *\nDisallow: /"
    async with Site(pages(rules)) as site, reader_of(readers, site.host, robots=True) as reader:
        await read(reader, site.url())
        with pytest.raises(PageRefused):
            await read(reader, site.url("/a.pdf"))


async def test_rules_are_ignored_where_the_settings_say_so(readers: Readers) -> None:
    async with Site(pages(RULES)) as site, reader_of(readers, site.host) as reader:
        await read(reader, site.url("/private/a"))
    assert site.paths == ["/private/a"]


async def test_the_target_of_a_redirect_is_asked_about_too(readers: Readers) -> None:
    found = pages(RULES) | {"/": sending_on("/private/a")}
    async with Site(found) as site, reader_of(readers, site.host, robots=True) as reader:
        with pytest.raises(PageRefused, match="asks programs"):
            await read(reader, site.url())
    assert "/private/a" not in site.paths


@pytest.mark.parametrize("robots", [None, "", answering(status=403), "<html>\x00\nUser-agent"])
async def test_a_site_that_says_nothing_forbids_nothing(
    readers: Readers, robots: str | Answer | None
) -> None:
    async with Site(pages(robots)) as site, reader_of(readers, site.host, robots=True) as reader:
        assert (await read(reader, site.url("/private/a"))).text == "Snow."


async def test_a_site_that_cannot_say_is_not_read(readers: Readers) -> None:
    async with (
        Site(pages(answering(status=503))) as site,
        reader_of(readers, site.host, robots=True) as reader,
    ):
        with pytest.raises(PageFailed, match="cannot say now"):
            await read(reader, site.url())
        site.pages["/robots.txt"] = ""
        await read(reader, site.url())


async def test_what_a_site_says_counts_for_an_hour(readers: Readers) -> None:
    page = answering(text="Snow.", headers={"Cache-Control": "no-store"})
    async with (
        Site(pages("") | {"/": page}) as site,
        reader_of(readers, site.host, robots=True) as reader,
    ):
        await read(reader, site.url())
        site.pages["/robots.txt"] = "User-agent: *\nDisallow: /"
        await readers.clock.advance(3599)
        await read(reader, site.url())
        await readers.clock.advance(2)
        with pytest.raises(PageRefused):
            await read(reader, site.url())
    assert site.paths.count("/robots.txt") == 2


async def test_rules_may_stand_elsewhere_but_not_inside(readers: Readers) -> None:
    async with (
        Site({"/robots.txt": "User-agent: *\nDisallow: /"}) as other,
        Site(pages(sending_on(other.url("/robots.txt"), 301))) as site,
    ):
        async with reader_of(readers, site.host, other.host, robots=True) as reader:
            with pytest.raises(PageRefused, match="asks programs"):
                await read(reader, site.url())
        async with reader_of(readers, site.host, robots=True) as reader:
            with pytest.raises(PageRefused, match="is not a public address"):
                await read(reader, site.url())


async def test_of_endless_rules_the_beginning_counts(readers: Readers) -> None:
    rules = "User-agent: *\nDisallow: /private/\n" + "#" * 600_000 + "\nAllow: /private/a"
    async with Site(pages(rules)) as site, reader_of(readers, site.host, robots=True) as reader:
        with pytest.raises(PageRefused):
            await read(reader, site.url("/private/a"))


async def test_rules_that_would_fill_the_memory_are_not_read(readers: Readers) -> None:
    """Each of many rules for each of many robots."""
    agents = "".join(f"User-agent: a{number}\n" for number in range(2000))
    rules = agents + "".join(f"Disallow: /{number}\n" for number in range(2000))
    async with Site(pages(rules)) as site, reader_of(readers, site.host, robots=True) as reader:
        with pytest.raises(PageRefused, match="has more rules than I can read"):
            await read(reader, site.url())

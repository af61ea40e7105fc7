"""One answer that grows, made into HTML once for all who watch it."""

from __future__ import annotations

import gc

import pytest

from adapters.web.feed import Seen, SharedPage, SharedPages, num_equal
from bot.markdown.links import LinkPolicy
from tests.fakes.clock import FakeClock

LINKS = LinkPolicy.of("all")


@pytest.fixture
def page(clock: FakeClock) -> SharedPage:
    return SharedPage(LINKS, clock)


async def test_who_asks_second_gets_what_the_first_had_made(page: SharedPage) -> None:
    one, _ = await page.blocks("One.")
    other, is_newest = await page.blocks("One.")
    assert (other is one, is_newest) == (True, True)


async def test_it_is_made_anew_ten_times_a_second_at_most(
    page: SharedPage, clock: FakeClock
) -> None:
    one, _ = await page.blocks("One.")
    assert await page.blocks("One. Two.") == (one, False)
    await clock.advance(0.1)
    other, is_newest = await page.blocks("One. Two.")
    assert (other, is_newest) == (['<p dir="auto">One. Two.</p>'], True)


async def test_who_opens_the_page_waits_for_nothing(page: SharedPage) -> None:
    await page.blocks("One.")
    blocks, is_newest = await page.blocks("One. Two.", is_urgent=True)
    assert (blocks, is_newest) == (['<p dir="auto">One. Two.</p>'], True)


async def test_a_slow_reader_gets_what_is_newer_than_it_asks_for(page: SharedPage) -> None:
    await page.blocks("One. Two.")
    assert await page.blocks("One.") == (['<p dir="auto">One. Two.</p>'], True)


async def test_another_text_is_begun_anew(page: SharedPage, clock: FakeClock) -> None:
    await page.blocks("One.\n\nTwo.")
    await clock.advance(1.0)
    assert await page.blocks("Other.") == (['<p dir="auto">Other.</p>'], True)


async def test_another_answer_to_the_question_is_another_text(clock: FakeClock) -> None:
    pages = SharedPages(clock)
    first, second = pages.of("turn1", 1, LINKS), pages.of("turn1", 2, LINKS)
    await first.blocks("One. Two.")
    assert await second.blocks("One.") == (['<p dir="auto">One.</p>'], True)
    assert pages.of("turn1", 1, LINKS) is first


async def test_nothing_of_a_text_is_kept_once_nobody_watches(clock: FakeClock) -> None:
    pages = SharedPages(clock)
    page = pages.of("turn1", 1, LINKS)
    await page.blocks("A secret.")
    del page
    gc.collect()
    assert (await pages.of("turn1", 1, LINKS).blocks(""))[0] == []


@pytest.mark.parametrize(
    ("one", "other", "num"),
    [
        ("", "", 0),
        ("ab", "abc", 2),
        ("abc", "ab", 2),
        ("abc", "abd", 2),
        (["a", "b"], ["a", "c", "d"], 1),
        (["a"], ["a", "b"], 1),
    ],
)
def test_only_what_follows_the_equal_beginning_is_sent(
    one: str | list[str], other: str | list[str], num: int
) -> None:
    assert num_equal(one, other) == num


def test_an_id_reads_as_it_was_written() -> None:
    seen = Seen("0a1b", "turn:1", 12, "c3d4")
    assert Seen.of(str(seen)) == seen

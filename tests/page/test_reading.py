"""Reading while the answer grows: it jumps nowhere, and stays at its end for who is there."""

from __future__ import annotations

from playwright.async_api import FilePayload, Page, expect

from bot.adapter_support.chat_files.written import as_json
from tests.adapters.web.test_long_chats import chat_of
from tests.page.conftest import Visit
from tests.page.parley import PageParley
from tests.page.people import answer, ask, log

PARAGRAPHS = "".join(f"Paragraph {number} of a long answer.\n\n" for number in range(40))
MINE = "https://example.org/mine"
NEWEST = "Jump to newest"


async def top(page: Page) -> float:
    found: float = await log(page).evaluate("(log) => log.scrollTop")
    return found


async def gap(page: Page) -> float:
    """How far it is to the end."""
    found: float = await log(page).evaluate(
        "(log) => log.scrollHeight - log.clientHeight - log.scrollTop"
    )
    return found


async def test_who_is_at_the_end_stays_there(visit: Visit, parley: PageParley) -> None:
    page = await visit()
    await ask(page, "A long one?")
    generation = await parley.asked()
    generation.say(PARAGRAPHS)
    await expect(answer(page)).to_contain_text("Paragraph 39")
    await page.wait_for_function("scroll.isStuck && $('log').scrollTop > 500")
    generation.say("The last line.")
    await expect(log(page).get_by_text("The last line.")).to_be_in_viewport()
    assert await gap(page) < 2
    await expect(page.get_by_role("button", name=NEWEST)).to_be_hidden()


async def test_who_reads_further_up_is_left_in_peace(visit: Visit, parley: PageParley) -> None:
    page = await visit()
    await ask(page, "A long one?")
    generation = await parley.asked()
    generation.say(PARAGRAPHS)
    await expect(log(page).get_by_text("Paragraph 39")).to_be_in_viewport()
    await log(page).hover()
    await page.mouse.wheel(0, -400)
    await expect(page.get_by_role("button", name=NEWEST)).to_be_visible()
    here = await top(page)
    generation.say(PARAGRAPHS + "The last line.")
    await expect(answer(page)).to_contain_text("The last line.")
    assert await top(page) == here
    await page.get_by_role("button", name=NEWEST).click()
    await expect(log(page).get_by_text("The last line.")).to_be_in_viewport()
    await expect(page.get_by_role("button", name=NEWEST)).to_be_hidden()
    generation.say("\n\nOne more.")
    await expect(log(page).get_by_text("One more.")).to_be_in_viewport()


async def test_the_end_of_an_answer_moves_nothing(visit: Visit, parley: PageParley) -> None:
    page = await visit()
    await ask(page, "Short?")
    generation = await parley.asked()
    generation.say("A word.")
    await expect(answer(page)).to_have_text("A word.")
    before = (
        await answer(page).bounding_box(),
        await log(page).evaluate("(log) => log.scrollHeight"),
    )
    generation.finish()
    await expect(log(page)).to_have_attribute("aria-busy", "false")
    after = await answer(page).bounding_box(), await log(page).evaluate("(log) => log.scrollHeight")
    assert after == before


async def test_a_chat_opens_at_its_end(visit: Visit, parley: PageParley) -> None:
    page = await visit()
    parley.will_say(PARAGRAPHS + "The last line.")
    await ask(page, "A long one?")
    await expect(log(page).get_by_text("The last line.")).to_be_in_viewport()
    await page.reload()
    await expect(log(page).get_by_text("The last line.")).to_be_in_viewport()


async def test_what_is_far_above_is_read_when_one_gets_there(visit: Visit) -> None:
    page = await visit()
    text = as_json(chat_of(40, 4_000))
    file: FilePayload = {"name": "a.json", "mimeType": "text/plain", "buffer": text.encode()}
    await page.locator("#import-file").set_input_files(file)
    await expect(answer(page)).to_contain_text("40: See")
    first = log(page).get_by_role("article").first
    await expect(first).to_contain_text("See https://example.org/mine.")
    await expect(first).not_to_contain_text("1: See")
    await log(page).evaluate("(log) => log.scrollTo(0, 0)")
    await expect(first.get_by_role("link").last).to_have_attribute("href", MINE)
    await expect(first).to_contain_text("1: See")
    await expect(first.get_by_text("1: See")).to_be_in_viewport()

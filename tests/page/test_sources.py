"""Pages that a question names: what a person sees while they are read, and below the answer."""

from __future__ import annotations

from playwright.async_api import expect

from tests.fakes.pages import SEA
from tests.page.conftest import Visit
from tests.page.parley import PageParley
from tests.page.people import answer, answered, ask, button, turns

ASKED = f"How deep is the sea? {SEA.address}"


async def test_what_was_read_is_linked_below_the_answer(visit: Visit, parley: PageParley) -> None:
    page = await visit()
    parley.will_say("11 km.", "Hi.")
    await answered(page, ASKED, "11 km.")
    link = turns(page).last.get_by_role("list", name="Sources").get_by_role("link")
    await expect(link).to_have_text("The sea")
    await expect(link).to_have_attribute("href", SEA.address)
    await expect(link).to_have_attribute("rel", "noopener noreferrer")
    await answered(page, "Hello?", "Hi.")
    await expect(turns(page).last.get_by_role("list", name="Sources")).to_be_hidden()
    await page.reload()
    await expect(page.get_by_role("link", name="The sea", exact=True)).to_be_visible()


async def test_while_a_page_is_read_the_page_says_so_and_stop_ends_it(
    visit: Visit, parley: PageParley
) -> None:
    page = await visit()
    parley.pages.held.clear()
    try:
        await ask(page, ASKED)
        await expect(turns(page).last.locator(".stage")).to_have_text("Reading example.org")
        await page.get_by_role("button", name="Stop", exact=True).click()
        await expect(turns(page).last.locator(".note")).to_have_text("Stopped.")
        assert parley.pages.num_under_way == 0
    finally:
        parley.pages.held.set()
    parley.will_say("11 km.")
    await button(page, "Retry").click()
    await expect(answer(page)).to_have_text("11 km.")

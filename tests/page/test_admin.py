"""The admin's view in a browser: it shows what happened, keeps up, and fits a phone."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime

from playwright.async_api import expect

from tests.page.conftest import Visit
from tests.page.parley import PERSONALITIES, SOON, PageParley
from tests.page.people import answered, phone


async def test_the_view_shows_what_was_answered_and_leads_back(
    visit: Visit, parley: PageParley
) -> None:
    page = await visit()
    parley.will_say("One.")
    await answered(page, "What did I ask?", "One.")
    await page.get_by_role("link", name="Overview of Parley").click()
    await expect(page.get_by_role("heading", name="Overview", exact=True)).to_be_visible()
    turns = page.get_by_role("region", name="Turns of the last day")
    async with asyncio.timeout(SOON):
        while not await turns.get_by_role("row", name=re.compile("^web ")).is_visible():
            await page.evaluate("refresh()")  # the log is written a little later
    people = page.get_by_role("region", name="People of the last day")
    await expect(people.get_by_role("rowheader").first).to_contain_text("web:local/")
    await expect(page.get_by_role("region", name="Platforms")).to_contain_text("slack down")
    await expect(page.locator("body")).not_to_contain_text("What did I ask?")
    await page.get_by_role("link", name="Chats").click()
    await expect(page.get_by_role("textbox", name="Ask anything")).to_be_visible()


async def test_it_keeps_up_while_somebody_looks(visit: Visit, parley: PageParley) -> None:
    page = await visit("/admin")
    personalities = page.get_by_role("region", name="Personalities")
    await expect(personalities).not_to_contain_text("pirate.md")
    file = parley.folder / "personalities" / "pirate.md"
    try:
        file.write_text(PERSONALITIES["pirate"].replace("title:", "titel:"))
        await parley.book.refresh(datetime.now(UTC))
        await page.evaluate("refresh()")
        await expect(personalities).to_contain_text("pirate.md:2")
        await expect(personalities).to_contain_text("titel")
    finally:
        file.write_text(PERSONALITIES["pirate"])
        await parley.book.refresh(datetime.now(UTC))
    await page.evaluate("refresh()")
    await expect(personalities).not_to_contain_text("pirate.md")


async def test_what_is_old_is_said_to_be_so(visit: Visit) -> None:
    page = await visit("/admin")
    await page.context.set_offline(True)
    await page.evaluate("refresh()")
    await expect(page.locator("#as-of")).to_contain_text("these figures are older")
    await page.context.set_offline(False)
    await page.evaluate("refresh()")
    await expect(page.locator("#as-of")).to_contain_text("up for")


async def test_it_needs_no_script_and_fits_a_phone(visit: Visit) -> None:
    page = await visit("/admin", java_script_enabled=False, **phone())
    await expect(page.get_by_role("region", name="Model and memory")).to_contain_text("CPU")
    await expect(page.get_by_role("region", name="Now")).to_contain_text("up for")
    sections = await page.locator("section").all()
    boxes = [await each.bounding_box() for each in sections]
    assert len(boxes) == 7
    assert all(box and box["x"] >= 0 and box["x"] + box["width"] <= 390 for box in boxes)


async def test_it_is_as_dark_as_the_page(visit: Visit) -> None:
    page = await visit(color_scheme="light")
    await page.get_by_role("button", name="Dark or light").click()
    await page.goto(page.url.split("#")[0].rstrip("/") + "/admin")
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")

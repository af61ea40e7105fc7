"""What a screen reader is told, and when."""

from __future__ import annotations

import re

from playwright.async_api import Page, expect

from tests.page.conftest import Visit
from tests.page.parley import PageParley
from tests.page.people import answer, ask, button, log

LISTEN = """
window.heard = [];
new MutationObserver(() => {
  const text = document.getElementById("status").textContent;
  if (text) heard.push(text);
}).observe(document.getElementById("status"), {childList: true});
"""


async def heard(page: Page) -> list[str]:
    found: list[str] = await page.evaluate("heard")
    return found


async def test_the_log_is_busy_and_silent_and_the_answer_is_said_once(
    visit: Visit, parley: PageParley
) -> None:
    page = await visit()
    await page.clock.install()
    await page.evaluate(LISTEN)
    await ask(page, "Long?")
    generation = await parley.asked()
    await expect(log(page)).to_have_attribute("aria-busy", "true")
    await expect(log(page)).to_have_attribute("aria-live", "off")
    generation.say("It grows")
    await expect(page.get_by_role("status")).to_have_text("Writing")
    for number in range(3):
        generation.say(f" and grows {number}")
        await page.clock.run_for(2_000)
        await expect(answer(page)).to_contain_text(f"and grows {number}")
    assert (await heard(page)).count("Still writing") == 0
    await page.clock.run_for(2_000)
    generation.say(" on")
    await page.clock.run_for(100)
    await expect(page.get_by_role("status")).to_have_text("Still writing")
    generation.say(" and on.")
    await page.clock.run_for(1_000)
    generation.finish()
    whole = "It grows and grows 0 and grows 1 and grows 2 on and on."
    await expect(page.get_by_role("status")).to_have_text(whole)
    await expect(log(page)).to_have_attribute("aria-busy", "false")
    said = await heard(page)
    assert said.count("Writing") == said.count("Still writing") == said.count(whole) == 1
    assert said[-1] == whole


async def test_what_happened_to_an_answer_is_said_with_it(visit: Visit, parley: PageParley) -> None:
    page = await visit()
    await ask(page, "Long?")
    (await parley.asked()).say("It begins")
    await expect(answer(page)).to_have_text("It begins")
    await page.get_by_role("button", name="Stop", exact=True).click()
    await expect(page.get_by_role("status")).to_contain_text("It begins")
    await expect(page.get_by_role("status")).to_contain_text("topped")


async def test_every_control_has_a_name(visit: Visit, parley: PageParley) -> None:
    page = await visit()
    parley.will_say("```python\nprint(1)\n```")
    await ask(page, "Code?")
    await expect(button(page, "Retry")).to_be_visible()
    controls = page.locator("button, a, input, select, textarea, summary").filter(visible=True)
    for control in await controls.all():
        await expect(control).to_have_accessible_name(re.compile("."))


async def test_headings_of_an_answer_skip_no_level(visit: Visit, parley: PageParley) -> None:
    page = await visit()
    parley.will_say(
        "### One\n\nText.\n\n##### Two\n\nText.\n\n#### Three\n\nText.\n\n# Four\n\nEnd."
    )
    await ask(page, "Headings?")
    await expect(answer(page)).to_contain_text("End.")
    for name, level in {"One": 3, "Two": 4, "Three": 4, "Four": 3}.items():
        heading = answer(page).get_by_role("heading", name=name)
        await expect(heading).to_have_attribute("aria-level", str(level))

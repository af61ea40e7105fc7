"""axe-core finds nothing to mend in any state of the page, dark or light."""

from __future__ import annotations

from pathlib import Path

import pytest_asyncio
from playwright.async_api import Page, expect

from bot.errors import EngineFailed
from tests.page.axe import violations
from tests.page.conftest import Visit
from tests.page.parley import PageParley, running_page
from tests.page.people import answer, answered, ask, box, button, phone, turns
from tests.page.test_connection import VIA

FULL = (
    "# A heading\n\nA **word**, `code`, [a link](https://example.org/known).\n\n"
    "```python\ndef f(x):  # why\n    return 'text' + str(1.5)\n"
    + "x = 1  # long\n"
    * 4
    + "```\n\n"
    "```\n" + "x" * 300 + "\n```\n\n"
    "|" + "a wide column|" * 9 + "\n|" + "---|" * 9 + "\n|" + "b|" * 9 + "\n\n"
    "$$"
    + " + ".join(f"x_{{{n}}}" for n in range(60))
    + "$$\n\n> A quote\n\n1. one\n2. two\n\n---\n\n"
    "```diff\n-old\n+new\n```\n\n" + "A long reply. " * 300
)


@pytest_asyncio.fixture(loop_scope="session")
async def page(visit: Visit) -> Page:
    return await visit()


async def test_an_empty_chat(page: Page) -> None:
    await expect(page.locator("#empty")).to_be_visible()
    assert await violations(page) == []


async def test_an_answer_with_everything_in_it_and_its_menus(
    page: Page, parley: PageParley
) -> None:
    parley.will_say(FULL)
    await ask(page, "What of https://example.org/known?")
    await expect(button(page, "Retry")).to_be_visible()
    assert await violations(page) == []
    await button(page, "Good answer").click()
    await page.get_by_role("button", name="More about this chat").click()
    assert await violations(page) == []
    await page.get_by_role("button", name="Rename").click()
    assert await violations(page) == []
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="More about this chat").click()
    await page.get_by_role("button", name="Forget …").click()
    assert await violations(page) == []
    await page.keyboard.press("Escape")
    await button(page, "Edit the question").click()
    assert await violations(page) == []


async def test_an_answer_that_waits_grows_and_is_stopped(page: Page, parley: PageParley) -> None:
    await ask(page, "Does it grow?")
    assert await violations(page) == []
    generation = await parley.asked()
    generation.say("It *grows* and")
    await expect(answer(page)).to_contain_text("It grows")
    assert await violations(page) == []
    await page.get_by_role("button", name="Stop").click()
    await expect(turns(page)).to_contain_text("topped")
    assert await violations(page) == []


async def test_an_answer_that_failed(page: Page, parley: PageParley) -> None:
    parley.generator.failures.append(EngineFailed("The model broke."))
    await ask(page, "Does it fail?")
    await expect(turns(page).last.locator(".note")).to_be_visible()
    assert await violations(page) == []


async def test_the_shortcuts_and_a_file_that_is_none_of_ours(page: Page) -> None:
    await page.get_by_role("button", name="Keyboard shortcuts").click()
    assert await violations(page) == []
    await page.keyboard.press("Escape")
    wrong = {"name": "no.json", "mimeType": "application/json", "buffer": b"{"}
    await page.locator("#import-file").set_input_files(wrong)  # type: ignore[arg-type]
    await expect(page.locator("#problem")).to_be_visible()
    wrong = {"name": "a.txt", "mimeType": "text/plain", "buffer": b"text"}
    await page.locator("#files").set_input_files(wrong)  # type: ignore[arg-type]
    await expect(page.locator("#chips")).to_be_visible()
    assert await violations(page) == []


async def test_a_phone_with_its_list_open(visit: Visit, parley: PageParley) -> None:
    page = await visit(**phone())
    parley.will_say("One.")
    await box(page).fill("First?")
    await page.get_by_role("button", name="Send").tap()
    await expect(answer(page)).to_have_text("One.")
    assert await violations(page) == []
    await page.get_by_role("button", name="Show the chats").tap()
    await expect(page.get_by_role("button", name="New chat")).to_be_visible()
    assert await violations(page) == []


async def test_signing_in(visit: Visit, tmp_path: Path) -> None:
    async with running_page(tmp_path, api_keys={"ann": "the-key-of-ann-1234"}) as closed:
        url = closed.url.replace("127.0.0.1", "localhost")
        page = await visit(url=url, **VIA)
        await page.get_by_role("textbox", name="Key").fill("wrong")
        await page.keyboard.press("Enter")
        await expect(page.locator("#refused")).to_be_visible()
        assert await violations(page) == []


async def test_the_admins_view(visit: Visit, parley: PageParley) -> None:
    page = await visit()
    parley.will_say("One.")
    await answered(page, "First?", "One.")
    await page.goto(f"{parley.url}/admin")
    assert await violations(page) == []
    assert await violations(await visit("/admin", **phone())) == []

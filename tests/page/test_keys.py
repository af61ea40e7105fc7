"""The page by keyboard alone, and its shortcuts."""

from __future__ import annotations

from playwright.async_api import Page, expect

from tests.page.conftest import Visit
from tests.page.parley import PageParley
from tests.page.people import answer, answered, ask, box, button, chats, turns


async def focused(page: Page) -> str:
    """The name of what has the focus."""
    found: str = await page.evaluate(
        "document.activeElement.ariaLabel || document.activeElement.textContent.trim()"
    )
    return found


async def test_everything_is_reached_by_tab_and_the_focus_is_seen(
    visit: Visit, parley: PageParley
) -> None:
    page = await visit()
    parley.will_say("One.")
    await answered(page, "First?", "One.")
    seen = []
    for _ in range(40):
        await page.keyboard.press("Tab")
        seen.append(await focused(page))
        outline = await page.evaluate(
            """(() => { const at = document.activeElement;
            const isSeen = getComputedStyle(at).outlineStyle !== "none";
            return isSeen || at === document.body || at.id === "box" })()"""
        )
        assert outline, seen[-1]
    wanted = {"New chat", "Search your chats", "First?", "More about First?", "Import a chat"}
    wanted |= {"Dark or light", "Keyboard shortcuts", "More about this chat", "Conversation"}
    wanted |= {"Edit the question", "Copy the answer", "Good answer", "Bad answer", "Retry"}
    wanted |= {"Ask anything", "Add files", "Personality"}
    assert wanted <= set(seen)


async def test_a_question_mark_shows_the_shortcuts_but_not_while_one_types(visit: Visit) -> None:
    page = await visit()
    await box(page).press("?")
    shortcuts = page.get_by_role("dialog", name="Keyboard shortcuts")
    await expect(shortcuts).to_be_hidden()
    await expect(box(page)).to_have_value("?")
    await page.get_by_role("button", name="New chat").focus()
    await page.keyboard.press("?")
    await expect(shortcuts).to_contain_text("Search your chats")
    await page.keyboard.press("Escape")
    await expect(shortcuts).to_be_hidden()


async def test_shortcuts_do_what_they_say(visit: Visit, parley: PageParley) -> None:
    page = await visit()
    parley.will_say("One.")
    await answered(page, "First?", "One.")
    await page.keyboard.press("Control+Shift+O")
    await expect(turns(page)).to_have_count(0)
    await ask(page, "Second?")
    (await parley.asked()).say("Two")
    await expect(answer(page)).to_have_text("Two")
    await page.keyboard.press("Control+.")
    await expect(turns(page)).to_contain_text("topped")
    await page.keyboard.press("Control+K")
    await expect(page.get_by_role("searchbox")).to_be_focused()
    await page.keyboard.press("Shift+Escape")
    await expect(box(page)).to_be_focused()
    await page.keyboard.press("Alt+ArrowDown")
    await expect(answer(page)).to_have_text("One.")
    await page.keyboard.press("Alt+ArrowUp")
    await expect(answer(page)).to_have_text("Two")
    await expect(chats(page)).to_have_count(2)


async def test_shortcuts_take_nothing_from_who_types(visit: Visit, parley: PageParley) -> None:
    page = await visit()
    parley.will_say("One.")
    await answered(page, "First?", "One.")
    address = page.url
    await box(page).fill("a text")
    await page.keyboard.press("Alt+ArrowDown")
    await page.keyboard.press("Escape")
    await expect(box(page)).to_have_value("a text")
    assert page.url == address


async def test_the_focus_is_never_lost_with_the_button_that_was_pressed(
    visit: Visit, parley: PageParley
) -> None:
    page = await visit()
    parley.will_say("One.", "Two.")
    await answered(page, "First?", "One.")
    await button(page, "Retry").press("Enter")
    await expect(answer(page)).to_have_text("Two.")
    await expect(box(page)).to_be_focused()
    await button(page, "Earlier answer").press("Enter")
    await expect(answer(page)).to_have_text("One.")
    await expect(button(page, "Later answer")).to_be_focused()
    await button(page, "Later answer").press("Enter")
    await expect(button(page, "Earlier answer")).to_be_focused()
    await button(page, "Edit the question").press("Enter")
    await page.keyboard.type("Second?")
    await page.keyboard.press("Enter")
    (await parley.asked()).say("Three")
    await expect(answer(page)).to_have_text("Three")
    await expect(box(page)).to_be_focused()
    await page.get_by_role("button", name="Stop", exact=True).press("Enter")
    await expect(button(page, "Continue")).to_be_visible()
    await expect(box(page)).to_be_focused()
    await button(page, "Continue").press("Enter")
    (await parley.asked()).finish()
    await expect(button(page, "Retry")).to_be_visible()
    await expect(box(page)).to_be_focused()


async def test_the_focus_is_in_the_box_once_another_chat_is_forgotten(
    visit: Visit, parley: PageParley
) -> None:
    page = await visit()
    parley.will_say("One.")
    await answered(page, "First?", "One.")
    await page.get_by_role("button", name="New chat").click()
    await page.get_by_role("button", name="More about First?").press("Enter")
    await page.locator("#menu").get_by_text("Forget").press("Enter")
    await page.get_by_role("button", name="Forget it").press("Enter")
    await expect(chats(page)).to_have_count(0)
    await expect(box(page)).to_be_focused()

"""The chats of a person: the side list, and what can be done with each."""

from __future__ import annotations

import asyncio
import re

import pytest
from playwright.async_api import Download, FilePayload, Page, expect

from tests.page.conftest import Visit
from tests.page.parley import PageParley
from tests.page.people import answer, answered, ask, box, chats, phone, question, turns


async def menu(page: Page, title: str, entry: str) -> None:
    await page.bring_to_front()
    await chats(page).filter(has_text=title).hover()
    await page.get_by_role("button", name=f"More about {title}").click()
    await page.locator("#menu").get_by_text(entry).click()


async def exported(page: Page, title: str, entry: str) -> tuple[str, str]:
    """The name of the file and what stands in it."""
    async with page.expect_download() as started:
        await menu(page, title, entry)
    download: Download = await started.value
    path = await download.path()
    return download.suggested_filename, await asyncio.to_thread(path.read_text)


async def bring(page: Page, text: str) -> None:
    """Import it."""
    file: FilePayload = {"name": "a.json", "mimeType": "text/plain", "buffer": text.encode()}
    await page.locator("#import-file").set_input_files(file)


async def test_chats_survive_a_reload_and_the_back_button_works(
    visit: Visit, parley: PageParley
) -> None:
    page = await visit()
    parley.will_say("One.", "Two.")
    await answered(page, "First?", "One.")
    await page.get_by_role("button", name="New chat").click()
    await expect(page.get_by_role("heading", name="Hello, what may I do")).to_be_visible()
    await answered(page, "Second?", "Two.")
    await expect(chats(page)).to_have_text(["Second?", "First?"])
    await expect(page).to_have_title("Second? · Parley")
    await page.reload()
    await expect(answer(page)).to_have_text("Two.")
    await chats(page).filter(has_text="First?").click()
    await expect(answer(page)).to_have_text("One.")
    await page.go_back()
    await expect(answer(page)).to_have_text("Two.")


async def test_nobody_sees_the_chats_of_another_browser(visit: Visit, parley: PageParley) -> None:
    page = await visit()
    parley.will_say("One.")
    await answered(page, "Mine?", "One.")
    other = await visit(page.url.removeprefix(parley.url))
    await expect(other.get_by_role("alert")).to_be_visible()
    await expect(chats(other)).to_have_count(0)
    await expect(turns(other)).to_have_count(0)


async def test_the_texts_of_chats_are_searched(visit: Visit, parley: PageParley) -> None:
    page = await visit()
    parley.will_say("The Danube.", "Bread.")
    await answered(page, "Rivers?", "The Danube.")
    await page.get_by_role("button", name="New chat").click()
    await answered(page, "Food?", "Bread.")
    search = page.get_by_role("searchbox")
    await search.fill("danube")
    await expect(chats(page)).to_have_text(["Rivers?"])
    await search.fill("nowhere")
    await expect(page.get_by_text("No chat has “nowhere”.")).to_be_visible()
    await search.fill("")
    await expect(chats(page)).to_have_text(["Food?", "Rivers?"])


async def test_a_chat_is_renamed_in_every_tab(visit: Visit, parley: PageParley) -> None:
    page = await visit()
    parley.will_say("One.")
    await answered(page, "First?", "One.")
    other = await visit(context=page.context)
    await menu(page, "First?", "Rename")
    await page.get_by_label("Title").fill("Rivers of Europe")
    await page.keyboard.press("Enter")
    for each in (page, other):
        await expect(chats(each)).to_have_text(["Rivers of Europe"])
    await expect(page.get_by_role("heading", level=1)).to_have_text("Rivers of Europe")


async def test_a_chat_is_exported_and_imported_again(visit: Visit, parley: PageParley) -> None:
    page = await visit()
    parley.will_say("The **Danube**.")
    await answered(page, "Rivers?", "The Danube.")
    name, text = await exported(page, "Rivers?", "Export as Markdown")
    assert name.endswith(".md")
    assert "The **Danube**." in text
    name, text = await exported(page, "Rivers?", "Export as JSON")
    assert name.endswith(".json")
    other = await visit()
    await bring(other, text)
    await expect(answer(other).locator("strong")).to_have_text("Danube")
    await expect(chats(other)).to_have_text(["Rivers?"])


async def test_a_file_that_is_no_chat_is_refused_in_a_sentence(visit: Visit) -> None:
    page = await visit()
    await bring(page, "[1]")
    await expect(page.get_by_role("alert")).to_have_text(re.compile(r"^[A-Z].+\.$"))


async def test_a_chat_is_forgotten_after_a_question(visit: Visit, parley: PageParley) -> None:
    page = await visit()
    parley.will_say("One.")
    await answered(page, "Secret?", "One.")
    other = await visit(page.url.removeprefix(parley.url), context=page.context)
    await expect(turns(other)).to_have_count(1)
    await menu(page, "Secret?", "Forget")
    dialog = page.get_by_role("dialog", name="Forget this chat?")
    await expect(dialog).to_contain_text("Secret?")
    await dialog.get_by_role("button", name="Keep it").click()
    await expect(chats(page)).to_have_count(1)
    await menu(page, "Secret?", "Forget")
    await dialog.get_by_role("button", name="Forget it").click()
    for each in (page, other):
        await expect(chats(each)).to_have_count(0)
        await expect(turns(each)).to_have_count(0)


async def test_a_chat_that_is_answered_has_a_dot(visit: Visit, parley: PageParley) -> None:
    page = await visit()
    await ask(page, "Busy?")
    generation = await parley.asked()
    await expect(chats(page).get_by_role("img", name="being answered")).to_be_visible()
    generation.say("No.")
    generation.finish()
    await expect(chats(page).get_by_role("img", name="being answered")).to_be_hidden()


async def test_a_personality_greets_suggests_and_answers(visit: Visit, parley: PageParley) -> None:
    page = await visit()
    await expect(page.get_by_role("button", name="What is a parley?")).to_be_visible()
    await page.get_by_label("Personality").select_option("Pirate")
    await expect(page.get_by_role("heading", name="Ahoy!")).to_be_visible()
    await expect(page.get_by_role("main")).to_contain_text("Arr.")
    await ask(page, "Who are you?")
    generation = await parley.asked()
    assert "pirate" in str(generation.request.messages[0].content)
    generation.say("Arr!")
    generation.finish()
    await expect(turns(page)).to_contain_text("scripted · Pirate")
    await page.get_by_label("Personality").select_option("Assistant")
    await page.reload()
    await expect(page.get_by_label("Personality")).to_have_value("assistant")


async def test_a_suggested_question_is_asked(visit: Visit, parley: PageParley) -> None:
    page = await visit()
    parley.will_say("A talk.")
    await page.get_by_role("button", name="What is a parley?").click()
    await expect(question(page)).to_have_text("What is a parley?")
    await expect(answer(page)).to_have_text("A talk.")


async def test_what_was_typed_survives_a_reload_chat_by_chat(
    visit: Visit, parley: PageParley
) -> None:
    page = await visit()
    parley.will_say("One.")
    await answered(page, "First?", "One.")
    await box(page).fill("half a quest")
    await page.get_by_role("button", name="New chat").click()
    await expect(box(page)).to_have_value("")
    await box(page).fill("another one")
    await page.reload()
    await expect(box(page)).to_have_value("another one")
    await chats(page).click()
    await expect(box(page)).to_have_value("half a quest")


async def test_on_a_phone_the_list_lies_over_the_thread(visit: Visit, parley: PageParley) -> None:
    page = await visit(**phone())
    parley.will_say("One.")
    await box(page).fill("First?")
    await page.get_by_role("button", name="Send").tap()
    await expect(answer(page)).to_have_text("One.")
    await expect(chats(page)).to_be_hidden()
    await page.get_by_role("button", name="Show the chats").tap()
    await expect(chats(page)).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(chats(page)).to_be_hidden()
    await expect(page.get_by_role("button", name="Show the chats")).to_be_focused()
    await page.get_by_role("button", name="Show the chats").tap()
    await page.get_by_role("button", name="New chat").tap()
    await expect(chats(page)).to_be_hidden()
    await expect(page.get_by_role("heading", name="Hello, what may I do")).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth") == 390


async def test_a_forgotten_chat_is_in_nobodys_way_back(visit: Visit, parley: PageParley) -> None:
    page = await visit()
    parley.will_say("One.", "Two.")
    await answered(page, "First?", "One.")
    await page.get_by_role("button", name="New chat").click()
    await answered(page, "Second?", "Two.")
    await menu(page, "Second?", "Forget")
    await page.get_by_role("button", name="Forget it").click()
    await expect(turns(page)).to_have_count(0)
    await page.go_back()
    await expect(answer(page)).to_have_text("One.")


@pytest.mark.parametrize("address", ["/#%zz", "/#none", "/#a/../b?c=%00&d"])
async def test_an_address_of_no_chat_says_so_and_the_page_works(
    visit: Visit, parley: PageParley, address: str
) -> None:
    page = await visit(address)
    await expect(page.get_by_role("alert")).to_have_text("There is no such chat (any more).")
    parley.will_say("One.")
    await answered(page, "Well?", "One.")
    await page.go_back()
    await expect(page).to_have_url("about:blank")

"""What the page does when the server is away, and when it asks who is there."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from playwright.async_api import Page, Route, expect

from tests.page.conftest import Visit
from tests.page.parley import PageParley, running_page
from tests.page.people import answer, answered, ask, box, button, chats
from tests.ports import free_port

VIA: dict[str, Any] = {"extra_http_headers": {"X-Forwarded-For": "192.0.2.7"}}
"""From another machine: a key is needed."""
HIDDEN = 'Object.defineProperty(document, "hidden", {value: true, configurable: true})'
LOST = "The connection is lost. This page mends it by itself."


async def test_a_restart_amid_an_answer_ends_in_the_finished_one_without_a_reload(
    visit: Visit, tmp_path: Path
) -> None:
    port = free_port()
    async with running_page(tmp_path, port=port) as before:
        page = await visit(url=before.url)
        await page.evaluate("window.isTheSame = true")
        await ask(page, "Will you be there?")
        (await before.asked()).say("I will")
        await expect(answer(page)).to_have_text("I will")
        await before.service.drain(0, asyncio.Event())
    await expect(page.get_by_text(LOST)).to_be_visible()
    await box(page).fill("half a question")
    async with running_page(tmp_path, port=port) as after:
        generation = await after.asked()
        generation.say("I will be")
        generation.say(" there.")
        generation.finish()
        await expect(answer(page)).to_have_text("I will be there.")
        await expect(button(page, "Retry")).to_be_visible()
        await expect(page.get_by_text(LOST)).to_be_hidden()
        await expect(box(page)).to_have_value("half a question")
        assert await page.evaluate("window.isTheSame")


async def test_a_question_that_could_not_be_sent_is_kept(visit: Visit, parley: PageParley) -> None:
    page = await visit()
    await page.context.set_offline(True)
    await ask(page, "Is anybody there?")
    await expect(page.get_by_role("alert")).to_contain_text("Parley cannot be reached just now.")
    await expect(box(page)).to_have_value("Is anybody there?")
    await page.context.set_offline(False)
    parley.will_say("Yes.")
    await box(page).press("Enter")
    await expect(answer(page)).to_have_text("Yes.")
    await expect(page.get_by_role("alert")).to_be_hidden()


async def test_a_question_whose_arrival_nobody_heard_of_is_asked_once(
    visit: Visit, parley: PageParley
) -> None:
    page = await visit()
    parley.will_say("Yes.", "No.")

    async def lose(route: Route) -> None:
        await route.fetch()
        await route.abort()

    await page.route("**/turns", lose, times=1)
    await ask(page, "Did you hear me?")
    await expect(page.get_by_role("alert")).to_contain_text("Parley cannot be reached just now.")
    await box(page).press("Enter")
    await expect(answer(page)).to_have_text("Yes.")
    await expect(box(page)).to_have_value("")
    await expect(chats(page)).to_have_count(1)
    await ask(page, "Did you hear me?")
    await expect(answer(page).last).to_have_text("No.")


async def turn_away(page: Page, *, is_hidden: bool) -> None:
    """As another tab in front of it does."""
    await page.evaluate(
        """(isHidden) => {
          Object.defineProperty(document, "hidden", {value: isHidden, configurable: true});
          document.dispatchEvent(new Event("visibilitychange"));
        }""",
        is_hidden,
    )


async def test_a_tab_in_the_background_gives_its_connection_back_and_misses_nothing(
    visit: Visit, parley: PageParley
) -> None:
    page = await visit()
    await page.clock.install()
    await ask(page, "One?")
    generation = await parley.asked()
    generation.say("Once")
    await expect(answer(page)).to_have_text("Once")
    await turn_away(page, is_hidden=True)
    await page.clock.run_for(9_000)
    assert await page.evaluate("link.source !== null")
    await page.clock.run_for(2_000)
    assert await page.evaluate("link.source === null")
    generation.say(" and for all.")
    generation.finish()
    await turn_away(page, is_hidden=False)
    await expect(answer(page)).to_have_text("Once and for all.")
    await expect(button(page, "Retry")).to_be_visible()


async def test_a_page_opened_while_the_model_is_loaded_says_so_and_waits(
    visit: Visit, tmp_path: Path
) -> None:
    async with running_page(tmp_path, is_loading=True) as parley:
        page = await visit(url=parley.url)
        await expect(page.get_by_text("The model is still loading.")).to_be_visible()
        parley.loading.set_result(parley.service.chats)
        await expect(page.get_by_text("The model is still loading.")).to_be_hidden()
        parley.will_say("Hello.")
        await ask(page, "Hello?")
        await expect(answer(page)).to_have_text("Hello.")


async def test_who_needs_a_key_gives_it_at_the_page_and_can_sign_out(
    visit: Visit, tmp_path: Path
) -> None:
    async with running_page(tmp_path, api_keys={"ada": "the-key-of-ada-1234"}) as parley:
        page = await visit(url=parley.url.replace("127.0.0.1", "localhost"), **VIA)
        dialog = page.get_by_role("dialog", name="Sign in")
        await dialog.get_by_role("textbox", name="Key").fill("another")
        await dialog.get_by_role("button", name="Sign in").click()
        await expect(dialog.get_by_role("alert")).to_be_visible()
        await dialog.get_by_role("textbox", name="Key").fill("the-key-of-ada-1234")
        await page.keyboard.press("Enter")
        await expect(dialog).to_be_hidden()
        parley.will_say("Hello Ada.")
        await ask(page, "Who am I?")
        await expect(answer(page)).to_have_text("Hello Ada.")
        await page.get_by_role("button", name="Sign out").click()
        await expect(dialog).to_be_visible()
        await expect(chats(page)).to_have_count(0)


async def test_two_devices_of_one_person_see_the_same_answer_grow(
    visit: Visit, tmp_path: Path
) -> None:
    async with running_page(tmp_path, api_keys={"ada": "the-key-of-ada-1234"}) as parley:
        pages = []
        for options in ({}, {"viewport": {"width": 390, "height": 800}}):
            page = await visit(url=parley.url, **VIA, **options)
            await page.get_by_role("textbox", name="Key").fill("the-key-of-ada-1234")
            await page.keyboard.press("Enter")
            await expect(page.get_by_role("dialog")).to_be_hidden()
            pages.append(page)
        one, other = pages
        await ask(one, "Who sees this?")
        generation = await parley.asked()
        await other.get_by_role("button", name="Show the chats").click()
        await chats(other).filter(has_text="Who sees this?").click()
        generation.say("Both")
        for page in pages:
            await expect(answer(page)).to_have_text("Both")
        generation.say(" of you.")
        generation.finish()
        for page in pages:
            await expect(answer(page)).to_have_text("Both of you.")


async def test_who_asks_before_the_page_is_ready_is_answered(
    visit: Visit, parley: PageParley
) -> None:
    page = await visit("/page/page.css")
    may_go_on = asyncio.Event()

    async def held_back(route: Route) -> None:
        await may_go_on.wait()
        await route.continue_()

    await page.route("**/page/state", held_back)
    await page.goto(parley.url)
    parley.will_say("At once.")
    await ask(page, "Already?")
    may_go_on.set()
    await expect(answer(page)).to_have_text("At once.")
    await expect(page.get_by_role("dialog")).to_be_hidden()


async def test_tabs_that_were_opened_behind_the_first_take_no_connection_from_it(
    visit: Visit, parley: PageParley
) -> None:
    """A browser has six for one server, so the seventh tab would have waited for ever."""
    page = await visit()
    parley.will_say("One.")
    await answered(page, "First?", "One.")
    address = page.url.removeprefix(parley.url)
    await page.context.add_init_script(HIDDEN)
    others = [await visit(address, context=page.context) for _ in range(6)]
    for other in others:
        await expect(answer(other)).to_have_text("One.")
    parley.will_say("Two.")
    await answered(page, "Second?", "Two.")
    await turn_away(others[-1], is_hidden=False)
    await expect(answer(others[-1])).to_have_text("Two.")


async def test_a_browser_without_cookies_is_told_so_and_not_asked_for_a_key(
    visit: Visit, parley: PageParley
) -> None:
    page = await visit()
    parley.will_say("One.")
    await answered(page, "First?", "One.")
    await page.context.clear_cookies()
    await ask(page, "Second?")
    await expect(page.get_by_role("alert")).to_contain_text("Allow cookies here")
    await expect(page.get_by_role("dialog")).to_be_hidden()
    await expect(box(page)).to_have_value("Second?")


async def test_without_scripts_the_page_says_what_it_needs(visit: Visit) -> None:
    page = await visit(java_script_enabled=False)
    await expect(page.locator("noscript p")).to_contain_text("This page needs JavaScript")
    await expect(page.locator("noscript p")).to_be_visible()

"""Asking, and seeing the answer grow."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import Page, Route, expect

from tests.page.conftest import Visit
from tests.page.parley import PageParley
from tests.page.people import (
    answer,
    answered,
    ask,
    box,
    button,
    chats,
    height,
    log,
    phone,
    question,
    turns,
)


async def test_an_answer_is_seen_to_grow(visit: Visit, parley: PageParley) -> None:
    page = await visit()
    await ask(page, "Who are you?")
    generation = await parley.asked()
    await expect(question(page)).to_have_text("Who are you?")
    await expect(box(page)).to_have_value("")
    generation.say("I am **Par")
    await expect(answer(page)).to_have_text("I am Par")
    generation.say("ley**.")
    await expect(answer(page).locator("strong")).to_have_text("Parley")
    generation.finish()
    await expect(button(page, "Copy the answer")).to_be_visible()


async def test_what_stands_already_is_not_touched_while_the_answer_grows(
    visit: Visit, parley: PageParley
) -> None:
    page = await visit()
    await ask(page, "Two points?")
    generation = await parley.asked()
    generation.say("A paragraph.\n\n- The first *point*\n- The sec")
    await expect(answer(page).locator("li")).to_have_count(2)
    await page.evaluate("document.querySelectorAll('.text *').forEach((each) => each.mine = true)")
    await page.evaluate("getSelection().selectAllChildren(document.querySelector('.text em'))")
    generation.say("ond, `longer`\n- The third\n\nThe end.")
    generation.finish()
    await expect(answer(page).locator("p").last).to_have_text("The end.")
    await expect(button(page, "Copy the answer")).to_be_visible()
    mine = "[...document.querySelectorAll('.text *')].filter((e) => e.mine).map((e) => e.tagName)"
    assert await page.evaluate(mine) == ["P", "UL", "LI", "EM", "LI"]
    assert await page.evaluate("getSelection().toString()") == "point"


async def test_enter_sends_and_shift_enter_makes_a_line(visit: Visit, parley: PageParley) -> None:
    page = await visit()
    parley.will_say("Both.")
    await box(page).press_sequentially("One")
    await box(page).press("Shift+Enter")
    await box(page).press_sequentially("and two")
    await expect(turns(page)).to_have_count(0)
    await box(page).press("Enter")
    await expect(question(page)).to_have_text("One\nand two")
    await expect(answer(page)).to_have_text("Both.")


async def test_on_a_phone_enter_makes_a_line(visit: Visit, parley: PageParley) -> None:
    page = await visit(**phone())
    parley.will_say("Both.")
    await box(page).press_sequentially("One")
    await box(page).press("Enter")
    await box(page).press_sequentially("and two")
    await expect(turns(page)).to_have_count(0)
    await page.get_by_role("button", name="Send").tap()
    await expect(question(page)).to_have_text("One\nand two")


async def test_enter_that_ends_a_composition_sends_nothing(visit: Visit) -> None:
    page = await visit()
    await box(page).fill("にほん")
    composing = {"key": "Enter", "isComposing": True, "bubbles": True}
    await box(page).dispatch_event("keydown", composing)
    await expect(box(page)).to_have_value("にほん")
    await expect(turns(page)).to_have_count(0)


async def test_the_box_grows_with_the_question(visit: Visit) -> None:
    page = await visit()
    low = await height(box(page))
    await box(page).fill("\n".join("abcdef"))
    assert await height(box(page)) > 3 * low


async def test_stop_ends_the_answer_and_continue_makes_it_longer(
    visit: Visit, parley: PageParley
) -> None:
    page = await visit()
    await ask(page, "Tell a story.")
    (await parley.asked()).say("Once upon a time")
    await expect(answer(page)).to_have_text("Once upon a time")
    await page.get_by_role("button", name="Stop", exact=True).click()
    await expect(button(page, "Continue")).to_be_visible()
    await expect(turns(page).last).to_contain_text("topped")
    await expect(page.get_by_role("button", name="Stop", exact=True)).to_be_hidden()
    await button(page, "Continue").click()
    generation = await parley.asked()
    await expect(button(page, "Continue")).to_be_hidden()
    generation.say(" there was a")
    await expect(answer(page)).to_have_text("Once upon a time there was a")
    await expect(button(page, "Earlier answer")).to_be_hidden()  # it is the same one
    generation.say(" llama.")
    generation.finish()
    await expect(answer(page)).to_have_text("Once upon a time there was a llama.")
    await expect(button(page, "Continue")).to_be_hidden()
    await expect(button(page, "Earlier answer")).to_be_hidden()


async def test_the_place_in_the_queue_and_the_wait_are_told(
    visit: Visit, parley: PageParley
) -> None:
    page = await visit()
    await ask(page, "Is it busy?")
    generation = await parley.asked()
    generation.queue(3, wait=42.0)
    await expect(turns(page)).to_contain_text("Waiting, place 3 in the queue, about 42 s")
    generation.say("Not any more.")
    await expect(turns(page)).not_to_contain_text("Waiting")
    await expect(turns(page)).to_contain_text("Writing")


async def test_a_model_that_is_loaded_first_is_named(visit: Visit, parley: PageParley) -> None:
    page = await visit()
    await ask(page, "Is it there?")
    generation = await parley.asked()
    generation.queue(1, loading="scripted")
    await expect(turns(page)).to_contain_text("Loading scripted")


async def test_that_the_question_is_read_is_told(visit: Visit, parley: PageParley) -> None:
    page = await visit()
    await ask(page, "Hello?")
    await parley.asked()
    await expect(turns(page)).to_contain_text("Reading")


async def held_back(page: Page) -> tuple[asyncio.Event, asyncio.Event]:
    """The next question is: set once it is, and to be set so that it goes on."""
    is_held, is_next = asyncio.Event(), asyncio.Event()

    async def hold(route: Route) -> None:
        is_held.set()
        await is_next.wait()
        await route.continue_()

    await page.route("**/turns", hold, times=1)
    return is_held, is_next


@pytest.mark.parametrize("is_first", [True, False])
async def test_what_is_asked_before_the_question_before_has_arrived_is_asked_after_it(
    visit: Visit, parley: PageParley, is_first: bool
) -> None:
    page = await visit()
    if not is_first:
        parley.will_say("Zero")
        await answered(page, "Zero?", "Zero")
    is_held, is_next = await held_back(page)
    parley.will_say("First", "Second")
    await ask(page, "One?")
    await is_held.wait()
    await ask(page, "Two?")
    is_next.set()
    await expect(question(page)).to_have_text("Two?")
    await expect(answer(page)).to_have_text("Second")
    await expect(turns(page)).to_have_count(2 if is_first else 3)
    await expect(box(page)).to_have_value("")


async def test_what_is_typed_before_the_first_question_has_arrived_stays_in_the_box(
    visit: Visit, parley: PageParley
) -> None:
    page = await visit()
    is_held, is_next = await held_back(page)
    parley.will_say("First")
    await ask(page, "One?")
    await is_held.wait()
    await box(page).fill("And then")
    is_next.set()
    await expect(answer(page)).to_have_text("First")
    await expect(box(page)).to_have_value("And then")
    await page.reload()
    await expect(box(page)).to_have_value("And then")


async def test_what_is_typed_behind_a_question_on_its_way_stays_when_one_looks_elsewhere(
    visit: Visit, parley: PageParley
) -> None:
    page = await visit()
    parley.will_say("Zero", "First")
    await answered(page, "Zero?", "Zero")
    is_held, is_next = await held_back(page)
    await ask(page, "One?")
    await is_held.wait()
    await box(page).fill("And then")
    file = {"name": "later.txt", "mimeType": "text/plain", "buffer": b"later"}
    await page.locator("#files").set_input_files(file)  # type: ignore[arg-type]
    await page.get_by_role("button", name="New chat").click()
    async with page.expect_response("**/turns"):
        is_next.set()
    await expect(box(page)).to_have_value("")
    await chats(page).first.click()
    await expect(answer(page)).to_have_text("First")
    await expect(box(page)).to_have_value("And then")
    await expect(page.locator("#chips")).to_contain_text("later.txt")


async def test_a_question_waits_behind_the_one_before(visit: Visit, parley: PageParley) -> None:
    page = await visit()
    await ask(page, "One?")
    first = await parley.asked()
    first.say("First")
    await ask(page, "Two?")
    await expect(turns(page)).to_have_count(2)
    await expect(turns(page).last).to_contain_text("Waiting")
    first.finish()
    second = await parley.asked()
    second.say("Second")
    second.finish()
    await expect(answer(page)).to_have_text("Second")


async def test_leaving_the_page_does_not_stop_the_answer(visit: Visit, parley: PageParley) -> None:
    page = await visit()
    await ask(page, "Will you go on?")
    generation = await parley.asked()
    generation.say("I will")
    await expect(answer(page)).to_have_text("I will")
    address, context = page.url.removeprefix(parley.url), page.context
    await page.close()
    generation.say(" go on.")
    page = await visit(address, context=context)
    await expect(answer(page)).to_have_text("I will go on.")
    generation.finish()
    await expect(button(page, "Copy the answer")).to_be_visible()


async def test_two_tabs_see_the_same_answer_grow(visit: Visit, parley: PageParley) -> None:
    one = await visit()
    await ask(one, "Who sees this?")
    generation = await parley.asked()
    await expect(turns(one)).to_have_count(1)
    other = await visit(one.url.removeprefix(parley.url), context=one.context)
    generation.say("Both of you")
    for page in (one, other):
        await expect(answer(page)).to_have_text("Both of you")
    generation.say(" do.")
    generation.finish()
    for page in (one, other):
        await expect(answer(page)).to_have_text("Both of you do.")
        await expect(button(page, "Copy the answer")).to_be_visible()


async def test_a_question_of_another_tab_appears(visit: Visit, parley: PageParley) -> None:
    one = await visit()
    parley.will_say("First.", "Second.")
    await answered(one, "One?", "First.")
    other = await visit(one.url.removeprefix(parley.url), context=one.context)
    await expect(turns(other)).to_have_count(1)
    await answered(one, "Two?", "Second.")
    await expect(answer(other)).to_have_text("Second.")


@pytest.mark.parametrize("refused", ["", "   "])
async def test_nothing_is_not_sent(visit: Visit, refused: str) -> None:
    page = await visit()
    await box(page).fill(refused)
    await expect(page.get_by_role("button", name="Send")).to_be_disabled()
    await box(page).press("Enter")
    await expect(log(page)).to_contain_text("Hello, what may I do for you?")


async def test_what_is_selected_in_a_question_stays_so_when_its_answer_ends(
    visit: Visit, parley: PageParley
) -> None:
    page = await visit()
    await ask(page, "What may I copy?")
    generation = await parley.asked()
    generation.say("All")
    await expect(answer(page)).to_have_text("All")
    await question(page).evaluate("(each) => getSelection().selectAllChildren(each)")
    generation.say(" of it.")
    generation.finish()
    await expect(button(page, "Retry")).to_be_visible()
    assert await page.evaluate("getSelection().toString()") == "What may I copy?"

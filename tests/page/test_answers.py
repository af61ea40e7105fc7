"""What can be done with an answer, and with the question before it."""

from __future__ import annotations

import re

from playwright.async_api import expect

from bot.errors import EngineFailed
from tests.page.conftest import Visit
from tests.page.parley import PageParley
from tests.page.people import answer, answered, ask, box, button, chats, question, turns


async def test_earlier_answers_are_leafed_through_in_every_tab(
    visit: Visit, parley: PageParley
) -> None:
    page = await visit()
    parley.will_say("One.", "Two.", "Three.")
    await answered(page, "Count?", "One.")
    for reply, place in (("Two.", "2/2"), ("Three.", "3/3")):
        await button(page, "Retry").click()
        await expect(answer(page)).to_have_text(reply)
        await expect(turns(page)).to_contain_text(place)
    other = await visit(page.url.removeprefix(parley.url), context=page.context)
    await page.bring_to_front()
    await button(page, "Earlier answer").click()
    for each in (page, other):
        await expect(answer(each)).to_have_text("Two.")
        await expect(turns(each)).to_contain_text("2/3")
    await other.bring_to_front()
    await button(other, "Earlier answer").click()
    for each in (page, other):
        await expect(answer(each)).to_have_text("One.")
        await expect(button(each, "Earlier answer")).to_be_disabled()
    await page.reload()
    await expect(answer(page)).to_have_text("One.")
    await expect(turns(page)).to_contain_text("1/3")


async def test_an_earlier_answer_can_be_read_while_another_one_grows(
    visit: Visit, parley: PageParley
) -> None:
    page = await visit()
    parley.will_say("The first.")
    await answered(page, "Well?", "The first.")
    await button(page, "Retry").click()
    generation = await parley.asked()
    generation.say("The second")
    await expect(answer(page)).to_have_text("The second")
    await button(page, "Earlier answer").click()
    await expect(answer(page)).to_have_text("The first.")
    generation.say(" one.")
    await button(page, "Later answer").click()
    await expect(answer(page)).to_have_text("The second one.")
    generation.finish()
    await expect(button(page, "Retry")).to_be_visible()
    await expect(answer(page)).to_have_text("The second one.")


async def test_the_newest_question_is_edited_in_place(visit: Visit, parley: PageParley) -> None:
    page = await visit()
    parley.will_say("Four.", "Nine.")
    await answered(page, "2 + 2?", "Four.")
    await button(page, "Edit the question").click()
    editor = page.get_by_role("textbox", name="The question")
    await expect(editor).to_have_value("2 + 2?")
    await editor.fill("3 * 3?")
    await editor.press("Enter")
    await expect(question(page)).to_have_text("3 * 3?")
    await expect(answer(page)).to_have_text("Nine.")
    await button(page, "Earlier answer").click()
    await expect(question(page)).to_have_text("2 + 2?")
    await expect(answer(page)).to_have_text("Four.")


async def test_escape_leaves_a_question_as_it_was(visit: Visit, parley: PageParley) -> None:
    page = await visit()
    parley.will_say("Four.")
    await answered(page, "2 + 2?", "Four.")
    await button(page, "Edit the question").click()
    editor = page.get_by_role("textbox", name="The question")
    await editor.fill("Something else")
    await editor.press("Escape")
    await expect(editor).to_be_hidden()
    await expect(question(page)).to_have_text("2 + 2?")
    await expect(button(page, "Edit the question")).to_be_focused()


async def test_a_thumb_is_given_changed_and_taken_back(visit: Visit, parley: PageParley) -> None:
    page = await visit()
    parley.will_say("Blue.")
    await answered(page, "Which colour?", "Blue.")
    await button(page, "Good answer").click()
    await expect(button(page, "Good answer")).to_have_attribute("aria-pressed", "true")
    await button(page, "Bad answer").click()
    await expect(button(page, "Good answer")).to_have_attribute("aria-pressed", "false")
    await page.reload()
    await expect(button(page, "Bad answer")).to_have_attribute("aria-pressed", "true")
    await button(page, "Bad answer").click()
    await expect(button(page, "Bad answer")).to_have_attribute("aria-pressed", "false")


async def test_an_answer_is_copied_as_markdown_and_code_by_itself(
    visit: Visit, parley: PageParley
) -> None:
    page = await visit(permissions=["clipboard-read", "clipboard-write"])
    reply = "Say **hello**:\n\n```python\nprint('hello')\n```"
    parley.will_say(reply)
    await ask(page, "Code?")
    await button(page, "Copy the answer").click()
    await expect(page.get_by_role("status")).to_have_text("Copied")
    assert await page.evaluate("navigator.clipboard.readText()") == reply
    await button(page, "Copy").click()
    await expect(button(page, "Copy")).to_have_class(re.compile("done"))
    assert await page.evaluate("navigator.clipboard.readText()") == "print('hello')"


async def test_who_answered_how_fast_and_how_full_the_window_is(
    visit: Visit, parley: PageParley
) -> None:
    page = await visit()
    await ask(page, "What do you see?")
    generation = await parley.asked()
    generation.say("word " * 800)
    await expect(answer(page)).to_contain_text("word word")
    generation.say("end.")
    generation.finish()
    await expect(turns(page)).to_contain_text(
        re.compile(r"scripted · Assistant · [\d,.]+ tokens/s")
    )
    await expect(page.locator("#window")).to_have_text(re.compile(r"20 % of 4,096 tokens"))
    assert await page.get_by_role("meter").evaluate("(meter) => meter.value") > 0.19


async def test_that_an_ai_writes_is_said(visit: Visit) -> None:
    page = await visit()
    await expect(page.get_by_role("main")).to_contain_text("Answers are written by AI")


async def test_reasoning_is_folded(visit: Visit, parley: PageParley) -> None:
    page = await visit()
    await ask(page, "Think!")
    generation = await parley.asked()
    generation.think("Let me see. ")
    thoughts = turns(page).locator("details")
    await expect(thoughts.locator("summary")).to_have_text("Thinking …")
    await expect(thoughts).not_to_have_attribute("open", "")
    await thoughts.locator("summary").click()
    generation.think("It is *two*.")
    await expect(thoughts).to_contain_text("Let me see. It is *two*.")
    generation.say("Two.")
    await expect(thoughts.locator("summary")).to_have_text("Reasoning")
    generation.finish()
    await expect(thoughts.locator("em")).to_have_text("two")
    await expect(thoughts).to_have_attribute("open", "")
    await page.reload()
    await expect(answer(page)).to_have_text("Two.")
    await expect(thoughts.locator("em")).to_be_hidden()


async def test_a_failed_answer_says_so_in_a_sentence_and_is_asked_again(
    visit: Visit, parley: PageParley
) -> None:
    page = await visit()
    parley.generator.failures.append(EngineFailed("The model is broken. Please ask again later."))
    await ask(page, "Are you well?")
    await expect(turns(page)).to_contain_text("The model is broken. Please ask again later.")
    parley.will_say("Yes.")
    await button(page, "Retry").click()
    await expect(answer(page)).to_have_text("Yes.")
    await expect(box(page)).to_be_enabled()


async def test_code_is_coloured_and_tables_and_formulae_are_drawn(
    visit: Visit, parley: PageParley
) -> None:
    page = await visit()
    parley.will_say(
        "```python\ndef f(): return 1\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nAnd $x^2$."
    )
    await ask(page, "Show me.")
    await expect(answer(page).locator("td")).to_have_text(["1", "2"])
    await expect(answer(page).locator("math msup")).to_be_visible()
    keyword = answer(page).get_by_text("def", exact=True)
    plain = await answer(page).locator("pre").evaluate("(each) => getComputedStyle(each).color")
    assert await keyword.evaluate("(each) => getComputedStyle(each).color") != plain


async def test_text_from_right_to_left_stands_on_the_right(
    visit: Visit, parley: PageParley
) -> None:
    page = await visit()
    parley.will_say("שלום וברכה.")
    await answered(page, "שלום", "שלום וברכה.")
    for each in (question(page), answer(page).locator("p")):
        assert await each.evaluate("(each) => getComputedStyle(each).direction") == "rtl"


async def test_an_older_question_goes_on_in_a_chat_of_its_own(
    visit: Visit, parley: PageParley
) -> None:
    page = await visit()
    parley.will_say("One.", "Two.", "Another.")
    await answered(page, "First?", "One.")
    await answered(page, "Second?", "Two.")
    first = turns(page).first
    await first.get_by_role("button", name="Edit the question").click()
    await expect(first).to_contain_text("Goes on in a new chat")
    editor = page.get_by_role("textbox", name="The question")
    await editor.fill("Other?")
    await editor.press("Enter")
    await expect(answer(page)).to_have_text("Another.")
    await expect(turns(page)).to_have_count(1)
    await expect(chats(page)).to_have_text(["Other?", "First?"])
    await page.go_back()
    await expect(answer(page)).to_have_text("Two.")

"""Files that come with a question: by button, by paste and by drop."""

from __future__ import annotations

import pytest
from playwright.async_api import FilePayload, Page, expect

from tests.page.conftest import Visit
from tests.page.parley import MAX_UPLOAD, PageParley
from tests.page.people import answer, ask, box, turns

TABLE = {"name": "rivers.csv", "type": "text/csv", "text": "river,km\nDanube,2850\n"}
MAKE = """(event, {name, type, text}) => {
  const data = new DataTransfer();
  data.items.add(new File([text], name, {type}));
  return data;
}"""


def file(name: str = "rivers.csv", data: bytes = b"river,km\nDanube,2850\n") -> FilePayload:
    return {"name": name, "mimeType": "text/plain", "buffer": data}


async def choose(page: Page, *files: FilePayload) -> None:
    async with page.expect_file_chooser() as opened:
        await page.get_by_role("button", name="Add files").click()
    chooser = await opened.value
    await chooser.set_files(files)


async def paste(page: Page) -> None:
    await page.evaluate(
        f"""(file) => document.getElementById("box").dispatchEvent(new ClipboardEvent("paste",
        {{bubbles: true, clipboardData: ({MAKE})(null, file)}}))""",
        TABLE,
    )


async def drop(page: Page) -> None:
    await page.evaluate(
        f"""(file) => {{ const dataTransfer = ({MAKE})(null, file);
        for (const name of ["dragover", "drop"]) document.body.dispatchEvent(
          new DragEvent(name, {{bubbles: true, cancelable: true, dataTransfer}})) }}""",
        TABLE,
    )


@pytest.mark.parametrize("bring", [lambda page: choose(page, file()), paste, drop])
async def test_a_file_is_asked_about(visit: Visit, parley: PageParley, bring: object) -> None:
    page = await visit()
    assert callable(bring)
    await bring(page)
    chip = page.locator("#chips").get_by_role("listitem")
    await expect(chip).to_contain_text("rivers.csv")
    await ask(page, "How long is it?")
    generation = await parley.asked()
    assert "Danube,2850" in generation.question
    generation.say("2850 km.")
    generation.finish()
    await expect(answer(page)).to_have_text("2850 km.")
    await expect(turns(page)).to_contain_text("rivers.csv")
    await expect(chip).to_have_count(0)


async def test_a_file_is_taken_off_again(visit: Visit, parley: PageParley) -> None:
    page = await visit()
    await choose(page, file("one.txt"), file("two.txt"))
    await page.get_by_role("button", name="Remove one.txt").click()
    parley.will_say("Yes.")
    await ask(page, "Only two?")
    await expect(answer(page)).to_have_text("Yes.")
    await expect(turns(page).get_by_role("listitem")).to_have_text(["two.txt"])


async def test_what_is_too_large_or_too_much_is_said_in_a_sentence(visit: Visit) -> None:
    page = await visit()
    await choose(page, file("large.txt", b"x" * (MAX_UPLOAD + 1)), file("small.txt"))
    told = page.get_by_role("alert")
    await expect(told).to_have_text("large.txt: a file may have 50 kB at most.")
    await expect(page.locator("#chips")).to_contain_text("small.txt")
    await choose(page, *(file(f"{number}.txt") for number in range(3)))
    await expect(told).to_have_text("At most 3 files come with one question.")
    await expect(page.locator("#chips").get_by_role("listitem")).to_have_count(3)


async def test_a_question_may_be_files_alone(visit: Visit, parley: PageParley) -> None:
    page = await visit()
    await choose(page, file())
    await expect(page.get_by_role("button", name="Send")).to_be_enabled()
    await box(page).press("Enter")
    generation = await parley.asked()
    assert "Danube,2850" in generation.question
    generation.say("A table.")
    generation.finish()
    await expect(answer(page)).to_have_text("A table.")


async def test_a_file_that_cannot_be_read_is_named_in_a_sentence(
    visit: Visit, parley: PageParley
) -> None:
    page = await visit()
    parley.will_say("I cannot read it.")
    await choose(page, file("broken.pdf", b"\x00\x01\x02nothing"))
    await ask(page, "What is this?")
    await expect(turns(page)).to_contain_text("I cannot read broken.pdf")
    await expect(answer(page)).to_have_text("I cannot read it.")


async def test_cells_of_a_table_are_pasted_as_text_though_a_picture_comes_along(
    visit: Visit,
) -> None:
    page = await visit()
    is_taken = await page.evaluate(
        f"""(file) => {{ const clipboardData = ({MAKE})(null, file);
        clipboardData.setData("text/plain", "river\tkm");
        clipboardData.setData("text/html", "<table><tr><td>river<td>km</table>");
        const options = {{bubbles: true, cancelable: true, clipboardData}};
        const event = new ClipboardEvent("paste", options);
        return !document.getElementById("box").dispatchEvent(event) }}""",
        {"name": "image.png", "type": "image/png", "text": "cells"},
    )
    assert not is_taken  # the browser puts the text into the box
    await expect(page.locator("#chips").get_by_role("listitem")).to_have_count(0)

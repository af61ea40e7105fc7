"""How the page looks: light and dark, and on a phone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

import adapters.web
from tests.page.conftest import Visit
from tests.page.parley import PageParley
from tests.page.people import answer, answered, ask, box, height, log, phone

STATIC = Path(adapters.web.__file__).parent / "static"
WIDE = (
    "```\n" + "x" * 300 + "\n```\n\n|" + "a wide column|" * 9 + "\n|" + "---|" * 9 + "\n|"
    "b|" * 9 + "\n\n" + "w" * 300 + "\n\n$$" + " + ".join(f"x_{{{n}}}" for n in range(60)) + "$$"
)


async def is_dark(page: Page) -> bool:
    colour: str = await page.evaluate("getComputedStyle(document.body.parentNode).backgroundColor")
    return sum(map(int, colour.removeprefix("rgb(").removesuffix(")").split(","))) < 150


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_page_is_as_dark_as_the_system_until_somebody_switches(
    visit: Visit, scheme: str
) -> None:
    page = await visit(color_scheme=scheme)
    assert await is_dark(page) == (scheme == "dark")
    await page.get_by_role("button", name="Dark or light").click()
    assert await is_dark(page) == (scheme == "light")
    await page.reload(wait_until="commit")
    await page.wait_for_selector("main")
    assert await is_dark(page) == (scheme == "light")  # from the first paint on
    await page.get_by_role("button", name="Dark or light").click()
    assert await is_dark(page) == (scheme == "dark")


async def test_the_page_is_painted_after_one_request_each_for_it_its_style_and_its_script(
    visit: Visit, parley: PageParley
) -> None:
    page = await visit()
    urls: list[str] = []
    await page.close()
    page.context.on("request", lambda request: urls.append(request.url))
    page = await visit(context=page.context)
    await expect(box(page)).to_be_focused()
    paths = [url.removeprefix(parley.url) for url in urls if not url.startswith("data:")]
    assert sorted(paths[:3]) == ["/", "/page/page.css", "/page/page.js"]
    assert all(path.startswith("/page/") for path in paths[3:])


def test_the_page_has_nothing_that_its_policy_forbids() -> None:
    text = (STATIC / "page.html").read_text()
    for forbidden in ("style=", "<style", " onclick", "javascript:", "https:"):
        assert forbidden not in text
    assert text.count("<script") == text.count('<script src="/page/page.js">') == 1


async def test_on_a_phone_nothing_is_wider_than_the_screen(
    visit: Visit, parley: PageParley
) -> None:
    page = await visit(**phone())
    parley.will_say(WIDE)
    await box(page).fill("A question of " + "m" * 200)
    await page.get_by_role("button", name="Send").tap()
    await expect(answer(page).locator("table")).to_be_visible()
    await expect(answer(page).locator("math")).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth") == 390
    assert await page.evaluate("$('log').scrollWidth <= $('log').clientWidth")
    for part in ("pre", ".scroll:has(table)", ".scroll:has(math)"):
        scrolls = "(each) => each.scrollWidth > each.clientWidth"
        assert await answer(page).locator(part).evaluate(scrolls), part


async def test_who_wants_less_motion_sees_none(visit: Visit, parley: PageParley) -> None:
    page = await visit(reduced_motion="reduce")
    await ask(page, "Does it move?")
    (await parley.asked()).say("No")
    await expect(answer(page)).to_have_text("No")
    assert await page.evaluate("document.getAnimations().length") == 0


async def test_a_reply_of_html_scripts_and_pictures_is_text(
    visit: Visit, parley: PageParley
) -> None:
    page = await visit()
    foreign: list[str] = []
    page.on("request", lambda request: foreign.append(request.url))
    reply = (
        "<script>document.title = 'pwned'</script>\n\n<b onclick=alert(1)>bold</b>\n\n"
        "[click](javascript:alert(1))\n\n![picture](https://example.org/a.png)\n\n"
        "<img src=https://example.org/b.png onerror=alert(1)>\n\nThe end."
    )
    parley.will_say(reply)
    await ask(page, "<img src=x onerror=alert(1)> Attack!")
    await expect(answer(page)).to_contain_text("The end.")
    await expect(answer(page)).to_contain_text("<script>document.title = 'pwned'</script>")
    await expect(answer(page)).to_contain_text("bold")
    assert await answer(page).locator("script, img, b, [onclick], [href^=javascript]").count() == 0
    await expect(page).to_have_title("<img src=x onerror=alert(1)> Attack! · Parley")
    assert [url for url in foreign if not url.startswith(parley.url)] == []


async def test_links_open_elsewhere_and_tell_nothing_of_the_page(
    visit: Visit, parley: PageParley
) -> None:
    page = await visit()
    parley.will_say("See https://example.org/known.")
    await answered(page, "What of https://example.org/known?", "See https://example.org/known.")
    link = answer(page).get_by_role("link")
    await expect(link).to_have_attribute("target", "_blank")
    await expect(link).to_have_attribute("rel", "noopener noreferrer nofollow")


async def test_a_printed_chat_is_all_there_and_dark_on_white(
    visit: Visit, parley: PageParley
) -> None:
    page = await visit(color_scheme="dark")
    reply = "\n\n".join(f"Paragraph {number}." for number in range(150))
    parley.will_say(reply)
    await ask(page, "A long one?")
    await expect(answer(page)).to_contain_text("Paragraph 149.")
    await page.emulate_media(media="print")
    pages = re.findall(rb"/Type\s*/Page\b", await page.pdf())
    assert len(pages) > 3
    assert not await is_dark(page)
    await expect(answer(page)).to_be_visible()
    await expect(box(page)).to_be_hidden()


async def test_zoomed_in_four_times_there_is_room_to_read(visit: Visit, parley: PageParley) -> None:
    page = await visit(viewport={"width": 320, "height": 256})
    parley.will_say("A short one.")
    await box(page).fill("Hello?")
    await page.get_by_role("button", name="Send").click()
    await expect(answer(page)).to_have_text("A short one.")
    assert await height(log(page)) > 90
    await expect(page.get_by_text("Answers are written by AI")).to_be_in_viewport()
    assert await page.evaluate("document.documentElement.scrollWidth") == 320


async def test_a_title_from_right_to_left_is_cut_at_its_end(
    visit: Visit, parley: PageParley
) -> None:
    page = await visit(viewport={"width": 320, "height": 600})
    parley.will_say("One.")
    await box(page).fill("שלום עולם מה שלומך היום זו כותרת ארוכה מאוד")
    await page.get_by_role("button", name="Send").click()
    title = page.get_by_role("heading", level=1)
    await expect(title).to_contain_text("שלום")
    assert await title.evaluate("(each) => getComputedStyle(each).direction") == "rtl"

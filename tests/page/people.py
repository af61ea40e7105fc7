"""What a person does at the page, and where they look."""

from __future__ import annotations

from typing import Any

from playwright.async_api import Locator, Page, expect

expect.set_options(timeout=15_000)


def box(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Ask anything")


async def ask(page: Page, text: str) -> None:
    await box(page).fill(text)
    await box(page).press("Enter")


async def answered(page: Page, text: str, reply: str) -> None:
    """Ask what is answered at once; ``reply`` is what the model was told to say."""
    await ask(page, text)
    await expect(answer(page)).to_have_text(reply)
    await expect(log(page)).to_have_attribute("aria-busy", "false")


def log(page: Page) -> Locator:
    return page.get_by_role("log")


def turns(page: Page) -> Locator:
    return log(page).get_by_role("article")


def answer(page: Page) -> Locator:
    """The text of the newest."""
    return turns(page).last.locator(".text")


def question(page: Page) -> Locator:
    return turns(page).last.locator(".bubble")


def button(page: Page, name: str) -> Locator:
    """Of the newest turn."""
    return turns(page).last.get_by_role("button", name=name, exact=True)


def chats(page: Page) -> Locator:
    """The titles in the side list."""
    return page.get_by_role("navigation", name="Your chats").get_by_role("link")


def phone() -> dict[str, Any]:
    """Options of a visit."""
    return {"viewport": {"width": 390, "height": 800}, "has_touch": True, "is_mobile": True}


async def height(of: Locator) -> float:
    found = await of.bounding_box()
    assert found
    return found["height"]

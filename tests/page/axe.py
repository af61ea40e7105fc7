"""axe-core, from npm, which finds what a page keeps from people with other senses or hands."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from playwright.async_api import Page

from tests.lacking import go_on_without, skip_for_lack
from tests.npm import install

VERSION = "4.14.1"
PACKAGE = "axe-core"
CACHE = Path(__file__).resolve().parents[2] / ".cache" / f"{PACKAGE}-{VERSION}"
_SCRIPT = CACHE / "node_modules" / PACKAGE / "axe.min.js"
_FIND = """async (rules) => {
  const wanted = { resultTypes: ["violations"], ...(rules && { runOnly: rules }) };
  return (await axe.run(wanted)).violations.flatMap(
    found => found.nodes.map(node => `${found.id}: ${node.html.slice(0, 120)} ` +
      node.any.concat(node.all, node.none).map(each => each.message).join("; ")));
}"""


def problem() -> str:
    """Why axe-core cannot be had, in a sentence; empty if it is there now."""
    return "" if _SCRIPT.is_file() else install(PACKAGE, VERSION, CACHE)


@cache
def source() -> str:
    if lack := problem():
        skip_for_lack(lack)
    return _SCRIPT.read_text(encoding="utf-8")


async def violations(page: Page) -> list[str]:
    """What is wrong as the page stands, light and dark, each with its element; moves are over
    before.

    All that is different in the dark is the colours.
    """
    await page.evaluate(
        "Promise.all(document.getAnimations().map(each => "
        "each.effect.getTiming().iterations === Infinity || each.finished))"
    )
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(source())
    light: list[str] = await page.evaluate(_FIND)
    await page.emulate_media(color_scheme="dark")
    dark: list[str] = await page.evaluate(_FIND, ["color-contrast"])
    await page.emulate_media(color_scheme="light")
    return light + [f"in the dark: {each}" for each in dark]


def main() -> None:
    """``make axe``: install it now, so that no test has to wait for it."""
    if lack := problem():
        go_on_without(f"The page's accessibility: {lack}")


if __name__ == "__main__":
    main()

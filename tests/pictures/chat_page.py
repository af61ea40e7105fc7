"""Take deploy/page/{light,dark}.png: ``.venv/bin/python -m tests.pictures.chat_page``.

The real page, in Debian's ``chromium``; what is answered is written here, not by a model.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.async_api import Browser, Page, async_playwright, expect

from tests.browser import CHROMIUM
from tests.page.parley import PageParley, running_page
from tests.page.people import answer, ask, button

FOLDER = Path(__file__).parents[2] / "deploy" / "page"
SIZE = {"width": 1100, "height": 760}
EARLIER = {
    "Three ideas for a team lunch": "A picnic, a pizza oven, or soup that somebody brings.",
    "Say “good morning” in Welsh": "Bore da.",
    "What does GROUP BY do?": "It makes one row of all that are equal in the columns named.",
}
QUESTION = "How do I add up the squares from 1 to n in Python, and is there a formula?"
REPLY = """\
Add them one by one:

```python
def squares(n: int) -> int:
    return sum(k * k for k in range(1, n + 1))  # squares(10) == 385
```

Or at once, whatever *n* is:

$$\\sum_{k=1}^{n} k^2 = \\frac{n(n+1)(2n+1)}{6}$$

| n | loop | formula |
|---|---|---|
| 10 | 385 | 385 |
| 1000 | 333833500 | 333833500 |
"""
MORE = "Is that proved by induction?"
GROWING = (
    "Yes. For *n* = 1 both sides are 1. If it holds for *n*, add (*n* + 1)² to both sides, and"
)


async def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with TemporaryDirectory() as name:
        async with async_playwright() as playwright, running_page(Path(name)) as parley:
            browser = await playwright.chromium.launch(
                executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"]
            )
            page = await talked(browser, parley)
            for scheme in ("light", "dark"):
                await page.emulate_media(color_scheme=scheme)
                await page.screenshot(path=FOLDER / f"{scheme}.png", animations="disabled")
            parley.end()
            await browser.close()


async def talked(browser: Browser, parley: PageParley) -> Page:
    """A few chats, the newest of which grows."""
    page = await browser.new_page(viewport=SIZE, reduced_motion="reduce")  # type: ignore[arg-type]
    await page.goto(parley.url)
    for question, reply in EARLIER.items():
        await page.get_by_role("button", name="New chat").click()
        parley.will_say(reply)
        await ask(page, question)
        await expect(button(page, "Retry")).to_be_visible()
    await page.get_by_role("button", name="New chat").click()
    await ask(page, QUESTION)
    generation = await parley.asked()
    for word in re.findall(r"\s*\S+", REPLY):
        generation.say(word)
        await asyncio.sleep(0.03)
    generation.finish()
    await expect(button(page, "Retry")).to_be_visible()
    await ask(page, MORE)
    generation = await parley.asked()
    generation.say(GROWING)
    await expect(answer(page)).to_contain_text("to both sides, and")
    await page.mouse.move(600, 700)
    return page


if __name__ == "__main__":
    asyncio.run(main())

"""Take deploy/slack/growing-reply.png: ``.venv/bin/python -m tests.pictures.growing_reply``.

Three moments of one real reply in the page of the local Slack. The model never says the same
twice, so look at the picture, and take another one if it is dull. Needs Debian's ``chromium``,
``fonts-lato`` and ``fonts-noto-color-emoji``.
"""

from __future__ import annotations

import asyncio
import base64
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
import typer
from playwright.async_api import Page, ViewportSize

from tests.browser import browser_page
from tests.local_slack import LocalSlack, ensure_binary, running_local_slack
from tests.ports import free_port
from tests.scenarios.parley import Parley, running_parley

PICTURE = Path(__file__).parents[2] / "deploy" / "slack" / "growing-reply.png"
QUESTION = "Give me five tips for a good team meeting."
NUM_OTHERS = 3  # who ask at the same time; alone, the small model is done before one can look
PAGE: ViewportSize = {"width": 800, "height": 600}
SCALE = 1.5
ENOUGH_TO_LOOK, ENOUGH_TO_STOP = 80, 220  # characters
REPLY = ".thread-body .msg:nth-of-type(3) .bk-section"
TEXT = f"(document.querySelector('{REPLY}')?.innerText ?? '')"

FRAME = """<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0; padding: 18px; display: inline-flex; gap: 18px; background: #eef1f5;
        font: 15px Lato, sans-serif; color: #3f0e40; }}
figure {{ margin: 0; }}
img {{ display: block; width: {width}px; border-radius: 10px; box-shadow: 0 2px 10px #0003; }}
figcaption {{ padding: 12px 4px 0; }}
b {{ display: inline-block; width: 22px; height: 22px; margin-right: 8px; border-radius: 11px;
     background: #3f0e40; color: #fff; font-size: 13px; line-height: 22px; text-align: center; }}
</style>{figures}"""
FIGURE = (
    '<figure><img src="data:image/png;base64,{data}">'
    "<figcaption><b>{number}</b>{caption}</figcaption></figure>"
)


async def moments(slack: LocalSlack, page: Page, question: str) -> dict[str, bytes]:
    """The thread as a person sees it, by what happens then."""
    await page.set_viewport_size(PAGE)
    await page.goto(slack.url)
    await page.wait_for_function("document.querySelector('.composer-input')")
    ts = await slack.message(f"<@UBOT> {question}")
    await page.wait_for_function("document.querySelector('[title=\"Reply in thread\"]')")
    await page.evaluate("document.querySelector('[title=\"Reply in thread\"]').click()")
    await page.wait_for_function(TEXT)
    pane = page.locator(".thread-pane")
    taken = {"A message at once,": await pane.screenshot()}
    await page.wait_for_function(f"{TEXT}.length > {ENOUGH_TO_LOOK}")
    taken["which grows as the model writes,"] = await pane.screenshot()
    await page.wait_for_function(f"{TEXT}.length > {ENOUGH_TO_STOP}")
    reply = (await slack.replies(ts))[0]["ts"]
    await slack.reaction(reply, "octagonal_sign")
    await page.wait_for_function(f"{TEXT}.toLowerCase().includes('stopped')")
    taken["until a stop sign ends it."] = await pane.screenshot()
    return taken


async def framed(page: Page, taken: dict[str, bytes]) -> bytes:
    """The moments side by side, each with its caption."""
    figures = "".join(
        FIGURE.format(data=base64.b64encode(png).decode(), number=number, caption=caption)
        for number, (caption, png) in enumerate(taken.items(), start=1)
    )
    await page.evaluate(f"document.write({FRAME.format(width=340, figures=figures)!r})")
    await page.wait_for_function("[...document.images].every(image => image.complete)")
    return await page.locator("body").screenshot()


@asynccontextmanager
async def others(parley: Parley) -> AsyncIterator[None]:
    """Programs that want long answers meanwhile."""
    body = {"messages": [{"role": "user", "content": "Tell me a long story."}]}
    own = aiohttp.ClientSession(headers=parley.own_key)
    async with own as session, asyncio.TaskGroup() as group:
        address = f"{parley.url}/v1/chat/completions"
        tasks = [group.create_task(_ask(session, address, body)) for _ in range(NUM_OTHERS)]
        yield
        for task in tasks:
            task.cancel()


async def _ask(session: aiohttp.ClientSession, url: str, body: Any) -> None:
    while True:
        async with session.post(url, json=body) as answer:
            await answer.read()


async def take(folder: Path, question: str) -> bytes:
    port = free_port()
    events_url = f"http://127.0.0.1:{port}/slack/events"
    async with (
        running_local_slack(ensure_binary(), folder, events_url) as slack,
        running_parley(folder, port, slack.environment) as parley,
        browser_page(SCALE) as page,
    ):
        async with others(parley):
            taken = await moments(slack, page, question)
        await page.set_viewport_size({"width": 1200, "height": 700})
        await page.goto("about:blank")
        return await framed(page, taken)


def main(question: str = QUESTION) -> None:
    with TemporaryDirectory() as folder:
        PICTURE.write_bytes(asyncio.run(take(Path(folder), question)))
    typer.echo(f"{PICTURE.name}: {PICTURE.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main(*sys.argv[1:])

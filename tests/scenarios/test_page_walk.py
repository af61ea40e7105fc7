"""The page on the way through a real Parley, as far as a browser's requests show it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import pytest

from tests.adapters.web.browser import Browser, EventSource
from tests.ports import free_port
from tests.scenarios.parley import Parley, running_parley
from tests.scenarios.polling import eventually

pytestmark = pytest.mark.model

LONG, SHORT = "1500", "12"
STORY = "Write a very long story about a llama that walks around the world."


async def back(source: EventSource) -> None:
    """As a browser does: again and again until the server is there, with the last id."""

    async def connects() -> bool:
        try:
            return await source.connect() == 200
        except aiohttp.ClientError:
            return False

    await eventually(connects)


async def grows(source: EventSource) -> None:
    while (event := await source.next()).name != "grow" or not event.data["blocks"]:
        pass


async def test_a_reply_amid_which_parley_is_killed_ends_in_the_same_open_page(
    tmp_path: Path,
) -> None:
    settings = {"PARLEY_MAX_TOKENS": LONG}
    async with running_parley(tmp_path, free_port(), settings) as parley:
        async with Browser(parley.url) as browser:
            await browser.load()
            chat, turn = await browser.ask(STORY)
            page = await browser.watch(chat)
            await grows(page)
            await parley.kill()
            restarting = asyncio.create_task(parley.start(PARLEY_MAX_TOKENS=SHORT))
            await back(page)
            while (event := await page.next()).name != "turn" or not event.data["answers"]:
                pass
            await restarting
            assert event.data["id"] == turn
            assert [each["state"] for each in event.data["answers"]] == ["done"]
            assert event.data["answers"][0]["html"]
            assert event.data["growing"] is None
        assert await parley.stop() == 0


async def test_the_page_of_a_real_parley_needs_no_key_on_its_machine(tmp_path: Path) -> None:
    async with running_parley(tmp_path, free_port(), {"PARLEY_MAX_TOKENS": SHORT}) as parley:
        await check_first_visit(parley)
        assert await parley.stop() == 0
        assert "Traceback" not in parley.output


async def check_first_visit(parley: Parley) -> None:
    async with Browser(parley.url) as browser:
        assert (await browser.get("/")).status == 200
        state = (await browser.load()).json
        assert (state["model"], state["is_loading"]) == ("smollm2", False)
        chat, _ = await browser.ask("What is the capital of France?")
        page = await browser.watch(chat)
        while (event := await page.next()).name != "turn" or not event.data["answers"]:
            pass
        answer = event.data["answers"][0]
        assert (answer["model"], answer["state"]) == ("smollm2", "done")
        assert answer["tokens_per_second"] > 0
        assert 0 < answer["window_used"] < 1
        listed = (await browser.get("/page/chats")).json["chats"]
        assert [each["id"] for each in listed] == [chat]
        exported = await browser.get(f"/page/chats/{chat}/export?format=json")
        imported = await browser.call(
            "POST",
            "/page/chats/import",
            data=exported.text,
            headers={"Content-Type": "application/json"},
        )
        assert imported.status in (200, 400)

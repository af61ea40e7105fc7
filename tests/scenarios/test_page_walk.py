"""The page on the way through a real Parley, as far as a browser's requests show it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.adapters.web.browser import Browser, EventSource
from tests.ports import free_port
from tests.scenarios.parley import running_parley
from tests.scenarios.polling import eventually

pytestmark = pytest.mark.model

LONG, SHORT = "1500", "12"
CAPITAL = "What is the capital of France? Answer in one sentence."
STORY = "Write a very long story about a llama that walks around the world."


async def test_chats_in_a_browser_survive_a_parley_that_is_killed(tmp_path: Path) -> None:
    settings = {"PARLEY_MAX_TOKENS": LONG}
    async with running_parley(tmp_path, free_port(), settings) as parley:
        assert f"page      {parley.url}/" in parley.output
        async with Browser(parley.url) as browser:
            assert (await browser.get("/")).status == 200
            state = (await browser.load()).json
            assert (state["model"], state["is_loading"]) == ("smollm2", False)
            chat, turn = await browser.ask(STORY)
            page = await browser.watch(chat)
            await grows(page)
            await parley.kill()
            restarting = asyncio.create_task(parley.start(PARLEY_MAX_TOKENS=SHORT))
            await back(page)
            assert [each["state"] for each in await answers(page, turn)] == ["done"]
            await restarting

            _, turn = await browser.ask(CAPITAL, chat)
            (answer,) = await answers(page, turn)
            assert (answer["model"], answer["state"]) == ("smollm2", "done")
            assert answer["tokens_per_second"] > 0
            assert 0 < answer["window_used"] < 1
            await exports_and_imports(browser, chat)
            await is_overseen(browser)
        assert await parley.stop() == 0
        assert "Traceback" not in parley.output


async def exports_and_imports(browser: Browser, chat: str) -> None:
    exported = (await browser.get(f"/page/chats/{chat}/export?format=json")).json
    added = (await browser.post("/page/chats/import", exported)).json["chat"]
    again = (await browser.get(f"/page/chats/{added['id']}/export?format=json")).json
    assert again == exported
    listed = (await browser.get("/page/chats?search=France")).json["chats"]
    assert {each["id"] for each in listed} == {chat, added["id"]}


async def is_overseen(browser: Browser) -> None:
    async def has_counted() -> bool:
        seen = (await browser.get("/admin", headers={"Accept": "application/json"})).json
        assert (seen["model"]["name"], seen["database"]) == ("smollm2", "up")
        assert seen["personalities"]
        return any(each["completion_tokens"] for each in seen["week"]["people"])

    await eventually(has_counted)


async def back(source: EventSource) -> None:
    """As a browser does: again and again until the server is there, with the last id."""

    async def connects() -> bool:
        try:
            return await source.connect() == 200
        except aiohttp.ClientError:
            return False

    await eventually(connects)


async def grows(source: EventSource) -> None:
    while not (await source.until("grow")).data["blocks"]:
        pass


async def answers(source: EventSource, turn: str) -> Any:
    """Once none grows any more."""
    while (event := await source.until("turn")).data["id"] != turn or event.data["growing"]:
        pass
    assert all(each["html"] for each in event.data["answers"])
    return event.data["answers"]

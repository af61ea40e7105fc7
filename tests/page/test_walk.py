"""Once through the page of a Parley as people start it, with its real model."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.page.conftest import Visit
from tests.page.people import answer, ask, button, chats, log, turns
from tests.ports import free_port
from tests.scenarios.parley import running_parley
from tests.scenarios.personalities import RAMBLING, make_personalities

pytestmark = pytest.mark.model


async def test_a_person_asks_stops_and_finds_it_all_again(visit: Visit, tmp_path: Path) -> None:
    personalities = await asyncio.to_thread(make_personalities, tmp_path / "personalities")
    settings = {
        "PARLEY_MAX_TOKENS": "900",
        "PARLEY_PERSONALITIES": str(personalities),
        "PARLEY_PERSONALITY": "rambler",
    }
    async with running_parley(tmp_path, free_port(), settings, RAMBLING) as parley:
        page = await visit(url=parley.url)
        await ask(page, "Tell me of the sea.")
        await expect(answer(page)).not_to_be_empty()
        await page.get_by_role("button", name="Stop", exact=True).click()
        await expect(button(page, "Retry")).to_be_visible()
        await expect(log(page)).to_have_attribute("aria-busy", "false")
        text = await answer(page).inner_text()
        await page.reload()
        await expect(answer(page)).to_have_text(text, use_inner_text=True)
        await expect(turns(page)).to_contain_text(re.compile(r"smollm2 · Rambler · .+ tokens/s"))
        await expect(chats(page)).to_have_text(["Tell me of the sea."])
        assert await parley.stop() == 0
        assert "Traceback" not in parley.output

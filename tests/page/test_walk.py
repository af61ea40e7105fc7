"""Once through the page of a Parley as people start it, with its real model."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.page.conftest import Visit
from tests.page.people import answer, ask, button, chats, log, turns
from tests.ports import free_port
from tests.scenarios.parley import running_parley

pytestmark = pytest.mark.model


async def test_a_person_asks_stops_and_finds_it_all_again(visit: Visit, tmp_path: Path) -> None:
    async with running_parley(tmp_path, free_port(), {"PARLEY_MAX_TOKENS": "900"}) as parley:
        page = await visit(url=parley.url)
        await ask(page, "Count from one to three hundred, in words.")
        await expect(answer(page)).not_to_be_empty()
        await page.get_by_role("button", name="Stop", exact=True).click()
        await expect(button(page, "Retry")).to_be_visible()
        await expect(log(page)).to_have_attribute("aria-busy", "false")
        text = await answer(page).inner_text()
        await page.reload()
        await expect(answer(page)).to_have_text(text, use_inner_text=True)
        await expect(turns(page)).to_contain_text(re.compile(r"smollm2 · Assistant · .+ tokens/s"))
        await expect(chats(page)).to_have_text(["Count from one to three hundred, in words."])
        assert await parley.stop() == 0
        assert "Traceback" not in parley.output

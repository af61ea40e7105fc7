"""A file on the way through a real Parley that is killed, and the commands beside it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import pytest

from tests.adapters.web.browser import Browser
from tests.ports import free_port
from tests.scenarios.command import command
from tests.scenarios.parley import running_parley
from tests.scenarios.polling import eventually

pytestmark = pytest.mark.model

SECRET = b"The gnu of Ouagadougou."
STORY = "Write a very long story about a llama that walks around the world."


def holding(folder: Path, words: bytes) -> list[str]:
    files = [path for path in (folder / "data").rglob("*") if path.is_file()]
    return [path.relative_to(folder).as_posix() for path in files if words in path.read_bytes()]


async def ask_with_file(browser: Browser, chat: str) -> str:
    form = aiohttp.FormData({"text": "What is in the zoo?"})
    form.add_field("files", SECRET, filename="zoo.txt", content_type="text/plain")
    where = f"/page/chats/{chat}/turns"
    reply = await browser.call("POST", where, data=form, headers={"X-Parley-Page": "1"})
    return str(reply.json["turn"]["id"])


async def is_answered(browser: Browser, chat: str) -> bool:
    turns = (await browser.get(f"/page/chats/{chat}")).json["turns"]
    return len(turns) == 2 and all(turn["growing"] is None for turn in turns)


async def test_a_file_outlives_a_kill_and_is_forgotten_by_command(tmp_path: Path) -> None:
    async with running_parley(tmp_path, free_port(), {"PARLEY_MAX_TOKENS": "1500"}) as parley:
        async with Browser(parley.url) as browser:
            await browser.load()
            chat, _ = await browser.ask(STORY)
            await ask_with_file(browser, chat)
            (upload,) = await asyncio.to_thread(holding, tmp_path, SECRET)
            assert upload.startswith("data/uploads/")
            await parley.kill()
            await parley.start(PARLEY_MAX_TOKENS="12")
            await eventually(lambda: is_answered(browser, chat))
        found = await asyncio.to_thread(holding, tmp_path, SECRET)
        assert set(found) <= {"data/parley.db", "data/parley.db-wal"}
        await check_commands(tmp_path, chat)
        assert await parley.stop() == 0
    assert "Traceback" not in parley.output


async def check_commands(folder: Path, chat: str) -> None:
    shown = await command(folder, "threads", "show", chat)
    assert "> What is in the zoo?\n\nAttached: zoo.txt\n\n### assistant, smollm2\n" in shown.out
    forgotten = await command(folder, "threads", "forget", chat)
    assert forgotten.code == 0
    assert forgotten.out.startswith("Forgotten: Write a very long story")
    for words in (SECRET, b"What is in the zoo?", b"around the world", b"zoo.txt"):
        assert await asyncio.to_thread(holding, folder, words) == []

"""Forgotten means gone: from every byte of the data folder, while Parley runs and after it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.ports import free_port
from tests.scenarios.command import command
from tests.scenarios.parley import Parley, running_parley
from tests.scenarios.polling import eventually

pytestmark = pytest.mark.model

WORD = "kookaburra"
OTHERS = "geranium"


def found(folder: Path, word: str) -> list[str]:
    """The files that hold the word, in their content or their name."""
    spellings = word.encode(), word.encode("utf-16-le")
    return [
        file.name
        for file in folder.rglob("*")
        if file.is_file()
        and (word in str(file) or any(each in file.read_bytes() for each in spellings))
    ]


class Page:
    """What a person does there, by its routes."""

    def __init__(self, parley: Parley, session: aiohttp.ClientSession) -> None:
        self._url = f"{parley.url}/page/chats"
        self._session = session

    async def ask(self, chat: str, word: str) -> str:
        form = aiohttp.FormData({"text": f"What is a {word}?"})
        form.add_field("files", f"The {word} laughs.", filename=f"{word}.txt")
        headers = {"X-Parley-Page": "1"}
        asked = await self._call("POST", f"/{chat}/turns", data=form, headers=headers)
        chat_id = str(asked["chat"])
        await eventually(lambda: self._is_answered(chat_id))
        return chat_id

    async def name(self, chat: str, title: str) -> None:
        await self._call("PATCH", f"/{chat}", json={"title": title})

    async def retry(self, chat: str) -> None:
        (turn,) = (await self._call("GET", f"/{chat}"))["turns"]
        url = f"{self._url.removesuffix('chats')}turns/{turn['id']}/retry"
        async with self._session.post(url, json={}) as answer:
            assert answer.status == 204, await answer.text()
        await eventually(lambda: self._is_answered(chat, 2))

    async def forget(self, chat: str) -> None:
        await self._call("DELETE", f"/{chat}", headers={"Content-Type": "application/json"})

    async def _is_answered(self, chat: str, num_answers: int = 1) -> bool:
        turns = (await self._call("GET", f"/{chat}"))["turns"]
        return all(not each["growing"] and len(each["answers"]) == num_answers for each in turns)

    async def _call(self, method: str, path: str, **options: Any) -> Any:
        async with self._session.request(method, f"{self._url}{path}", **options) as answer:
            assert answer.status < 300, await answer.text()
            return None if answer.status == 204 else await answer.json()


async def test_a_forgotten_chat_is_in_no_byte_of_the_data_folder(tmp_path: Path) -> None:
    data = tmp_path / "data"
    settings = {"PARLEY_MAX_TOKENS": "8", "PARLEY_LOG_LEVEL": "info"}
    async with running_parley(tmp_path, free_port(), settings) as parley:
        async with aiohttp.ClientSession(headers=parley.own_key) as session:
            page = Page(parley, session)
            chat = await page.ask("new", WORD)
            await page.retry(chat)
            await page.name(chat, f"About the {WORD}")
            await page.ask("new", OTHERS)
            environ = {"PARLEY_DATA_DIR": str(data)}
            assert (await command(tmp_path, "backup", environ=environ)).code == 0
            assert "parley.db" in "".join(await asyncio.to_thread(found, data, WORD))
            assert len(await asyncio.to_thread(found, data / "backups", WORD)) == 1

            await page.forget(chat)
            assert await asyncio.to_thread(found, data, WORD) == []
            assert len(await asyncio.to_thread(found, data / "backups", OTHERS)) == 1
        assert await parley.stop() == 0
        assert await asyncio.to_thread(found, data, WORD) == []
        assert await asyncio.to_thread(found, data, OTHERS) != []
        await parley.start()
        await parley.kill()
        assert await asyncio.to_thread(found, data, WORD) == []
    assert "turn " in parley.output  # the log was read, too
    assert not any(word in parley.output for word in (WORD, OTHERS))

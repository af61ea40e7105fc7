"""A client in the manner of the module's own page: it posts forms, and reads what comes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from bot.server import Server

Json = dict[str, Any]
CHAT, STATUS, CANCEL = "text/chat", "LlamaChat/get_command_status", "LlamaChat/cancel_command"


class PollingClient:
    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def post(self, path: str, **request: Any) -> Json:
        """An answer is always a whole one, with status 200."""
        async with self._session.post(f"/v1/{path}", **request) as response:
            raw = await response.read()
            assert response.status == 200, raw
            assert response.content_type == "application/json"
            assert response.headers["Content-Length"] == str(len(raw))
            answer: Json = await response.json()
            return answer

    async def fields(self, path: str, **fields: object) -> Json:
        """As ``multipart/form-data``, which the page sends."""
        form = aiohttp.FormData({key: str(value) for key, value in fields.items()})
        form._is_multipart = True
        return await self.post(path, data=form)

    async def ask(self, prompt: str = "Hi", **fields: object) -> str:
        """The id of a command that has begun."""
        answer = await self.fields(CHAT, prompt=prompt, **fields)
        assert answer["success"], answer
        command_id: str = answer["commandId"]
        return command_id

    async def status(self, command_id: str) -> Json:
        return await self.fields(STATUS, commandId=command_id)

    async def cancel(self, command_id: str) -> Json:
        return await self.fields(CANCEL, commandId=command_id)


@asynccontextmanager
async def polling_client(server: Server, key: str = "") -> AsyncIterator[PollingClient]:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with aiohttp.ClientSession(server.url, headers=headers) as session:
        yield PollingClient(session)

"""Chats as files: exported, and imported again."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

from aiohttp import web

from adapters.web.bodies import body_of
from adapters.web.context import PageContext
from adapters.web.errors import BadRequest
from adapters.web.shapes import summary
from bot.adapter_support.chat_files.read import MAX_BYTES, read_chat
from bot.adapter_support.chat_files.written import as_json, as_markdown, file_name
from bot.chats import Owner

_FORMATS = {
    "json": ("application/json", "json", as_json),
    "markdown": ("text/markdown", "md", as_markdown),
}
"""How a format is asked for -> its type, its suffix, and who writes it."""


class ChatFiles:
    def __init__(self, context: PageContext) -> None:
        self._context = context

    async def write(self, request: web.Request, owner: Owner) -> web.StreamResponse:
        found = _FORMATS.get(request.query.get("format", "json"))
        if found is None:
            raise BadRequest("'format' is either json or markdown.")
        media_type, suffix, write = found
        chat = await self._context.loaded.chat(owner, request.match_info["chat"])
        text = await asyncio.to_thread(write, chat)
        name = quote(file_name(chat, suffix))
        return web.Response(
            text=text,
            content_type=media_type,
            charset="utf-8",
            headers={"Content-Disposition": f"attachment; filename*=UTF-8''{name}"},
        )

    async def read(self, request: web.Request, owner: Owner) -> web.StreamResponse:
        chats = self._context.loaded
        raw = await body_of(request, MAX_BYTES, self._context.read_seconds)
        chat = await asyncio.to_thread(read_chat, raw, self._context.clock.now())
        chat_id = await chats.add_chat(owner, chat)
        added = await chats.chat(owner, chat_id)
        return web.json_response({"chat": summary(added.summary)})

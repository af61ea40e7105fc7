"""A question, alone or with files."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from contextlib import nullcontext

from aiohttp import web

from adapters.web.bodies import NewTurn, body_of
from adapters.web.context import PageContext
from adapters.web.errors import BadRequest
from adapters.web.reading import form_of, read_json
from adapters.web.uploads import UploadLimits
from bot.adapter_support.multipart import MULTIPART
from bot.chats import Owner, Upload

_NEW = "new"
_MAX_FORMS = 4
"""Read at the same time, which bounds the memory for files."""
_KEY = "Idempotency-Key"
_KEYS = re.compile(r"[!-~]{1,200}")


class Asking:
    def __init__(self, context: PageContext) -> None:
        self._context = context
        self._limits = UploadLimits(context.max_files, context.max_upload)
        self._forms = asyncio.Semaphore(_MAX_FORMS)

    async def ask(self, request: web.Request, owner: Owner) -> web.StreamResponse:
        """Answers once the question is on disk."""
        form, chats, key = form_of(request), self._context.loaded, _key(request)
        chat_id = None if request.match_info["chat"] == _NEW else request.match_info["chat"]
        is_form = request.content_type == MULTIPART
        async with self._forms if is_form else nullcontext():
            body, files = await self._read(request)
            chat_id, turn = await chats.ask(
                owner, chat_id, body.text, files=files, personality=body.personality, key=key
            )
        shapes = self._context.shapes(form, [turn])
        shown = await asyncio.to_thread(shapes.turn, turn, 0)
        return web.json_response({"chat": chat_id, "turn": shown})

    async def _read(self, request: web.Request) -> tuple[NewTurn, Sequence[Upload]]:
        if request.content_type != MULTIPART:
            return await read_json(request, self._context, NewTurn), ()
        raw = await body_of(request, self._limits.max_body, self._context.read_seconds)
        return await asyncio.to_thread(self._limits.read, request.headers["Content-Type"], raw)


def _key(request: web.Request) -> str:
    """Sent with a question once more, where nobody knows whether it arrived."""
    key = request.headers.get(_KEY)
    if key is not None and not _KEYS.fullmatch(key):
        raise BadRequest(f"'{_KEY}' has 1 to 200 letters, digits and signs.")
    return key or ""

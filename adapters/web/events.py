"""``/page/events``: a browser or terminal is told what changes, and can leave and come back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

from aiohttp import web

from adapters.web.context import PageContext
from adapters.web.feed import UPDATE_SECONDS, Seen, SharedPages
from adapters.web.headers import NOT_KEPT, SAFE
from adapters.web.owners import browser_secret, owner_of
from adapters.web.reading import form_of
from adapters.web.shapes import Form
from adapters.web.telling import Telling
from bot.adapter_support.event_stream import EventStream
from bot.chats import AnswerGrew, Chat, ChatWatch, Owner
from bot.errors import ParleyError, UnknownChat

_HEARTBEAT_SECONDS = 15.0
_CHECK_SECONDS = 5.0
_HEARTBEAT = b":\n\n"
_BEGIN = b"retry: 1000\n\n"


class Watching:
    """All who watch; ``pages`` makes the HTML of an answer once for all of them."""

    def __init__(self, context: PageContext) -> None:
        self._context = context
        self._pages = SharedPages(context.clock)

    async def watch(self, request: web.Request, owner: Owner) -> web.StreamResponse:
        context, chat_id = self._context, request.query.get("chat") or None
        form = form_of(request)
        seen = request.headers.get("Last-Event-ID") or request.query.get("after")
        if chat_id is not None and seen is None and not context.is_loading:
            await context.loaded.chat(owner, chat_id)  # a 404 can only be said before the stream
        headers = {**SAFE, **NOT_KEPT}
        if request.method == "HEAD":
            return web.Response(headers=headers, content_type="text/event-stream")
        async with EventStream(request, context.clock, context.patience, headers) as stream:
            await stream.send(_BEGIN)
            watcher = _Watcher(context, self._pages, stream, owner, form)
            await watcher.run(chat_id, seen, lambda: self._is_still(owner, request))
            return await stream.end()

    def _is_still(self, owner: Owner, request: web.Request) -> bool:
        """Whether what the request shows still stands for the owner: people sign out."""
        try:
            caller = self._context.callers.caller(request)
        except web.HTTPException:
            return False
        return owner_of(caller, browser_secret(request)) == owner


class _Watcher:
    """One stream. A slow reader is told the newest state only, whenever it is ready for it."""

    def __init__(
        self,
        context: PageContext,
        pages: SharedPages,
        stream: EventStream,
        owner: Owner,
        form: Form,
    ) -> None:
        self._context = context
        self._pages = pages
        self._stream = stream
        self._owner = owner
        self._form: Form = form
        self._is_silent = True
        self._is_sending = False

    async def run(
        self, chat_id: str | None, seen: str | None, is_allowed: Callable[[], bool]
    ) -> None:
        """Until Parley stops, or cannot say what changes: browsers come back by themselves."""
        async with _beside(self._beat()):
            await asyncio.wait([self._context.chats])
            if self._context.is_loading:
                return
            watch = self._context.loaded.watch(self._owner, chat_id)
            try:
                async with _beside(self._close_unless(is_allowed, watch)):
                    await self._follow(watch, chat_id, Seen.of(seen) if seen is not None else None)
            except ParleyError:
                pass  # who comes back is told why, if it may not
            finally:
                watch.close()

    async def _follow(self, watch: ChatWatch, chat_id: str | None, seen: Seen | None) -> None:
        telling = await self._begin(chat_id, seen)
        async for event in watch:
            await self._send(await telling.event(event))
            if isinstance(event, AnswerGrew):
                await self._pause()
            while telling.is_behind:
                await self._send(await telling.event(event))
                await self._pause()

    async def _begin(self, chat_id: str | None, seen: Seen | None) -> Telling:
        """``seen``: the last that reached this browser before."""
        chats, chat = self._context.loaded, await self._chat(chat_id)
        telling = await asyncio.to_thread(Telling, self._context, self._pages, chat, self._form)
        if seen is not None:
            await self._send(telling.chats(await chats.chats(self._owner)))
        if chat is None and chat_id is not None:
            await self._send(telling.gone(chat_id))
        async for data in telling.catch_up(seen):
            await self._send(data)
        return telling

    async def _chat(self, chat_id: str | None) -> Chat | None:
        try:
            return await self._context.loaded.chat(self._owner, chat_id) if chat_id else None
        except UnknownChat:
            return None

    async def _send(self, data: bytes) -> None:
        if data:
            self._is_silent, self._is_sending = False, True
            await self._stream.send(data)
            self._is_sending = False

    async def _pause(self) -> None:
        await self._context.clock.sleep(UPDATE_SECONDS)

    async def _beat(self) -> None:
        """A line of nothing where a proxy would take the silence for the end.

        Not to who reads nothing: it would look as if it had just begun with that.
        """
        while True:
            self._is_silent = True
            await self._context.clock.sleep(_HEARTBEAT_SECONDS)
            if self._is_silent and not self._is_sending:
                await self._stream.send(_HEARTBEAT)

    async def _close_unless(self, is_allowed: Callable[[], bool], watch: ChatWatch) -> None:
        while is_allowed():
            await self._context.clock.sleep(_CHECK_SECONDS)
        watch.close()


@asynccontextmanager
async def _beside(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

"""What people do with their chats and with the turns in them."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from aiohttp import web

from adapters.web.bodies import (
    ChatChanges,
    ChosenAnswer,
    EditedQuestion,
    GivenRating,
    NothingMore,
)
from adapters.web.context import PageContext
from adapters.web.errors import BadRequest
from adapters.web.reading import form_of, number_of, read_json
from adapters.web.shapes import summary
from bot.chats import Owner
from bot.errors import UnknownChat

_MAX_SEARCH = 200


class ChatActions:
    def __init__(self, context: PageContext) -> None:
        self._context = context

    async def search(self, request: web.Request, owner: Owner) -> web.StreamResponse:
        words = request.query.get("search", "")
        if len(words) > _MAX_SEARCH:
            raise BadRequest(f"A search has at most {_MAX_SEARCH} characters.")
        found = await self._context.loaded.chats(owner, words)
        return web.json_response({"chats": [summary(each) for each in found]})

    async def read(self, request: web.Request, owner: Owner) -> web.StreamResponse:
        form = form_of(request)
        chat = await self._context.loaded.chat(owner, request.match_info["chat"])

        def shown() -> web.Response:
            return web.json_response(self._context.shapes(form, chat.turns).chat(chat))

        return await asyncio.to_thread(shown)

    async def change(self, request: web.Request, owner: Owner) -> web.StreamResponse:
        body = await read_json(request, self._context, ChatChanges)
        if body.title is None and body.personality is None:
            raise BadRequest("Nothing is to change: there is no 'title' and no 'personality'.")
        chats, chat_id = self._context.loaded, request.match_info["chat"]
        if body.personality is not None:
            await chats.set_personality(owner, chat_id, body.personality)
        if body.title is not None:
            await chats.rename(owner, chat_id, body.title)
        chat = await chats.chat(owner, chat_id)
        return web.json_response({"chat": summary(chat.summary)})

    async def forget(self, request: web.Request, owner: Owner) -> web.StreamResponse:
        await self._context.loaded.forget_chat(owner, request.match_info["chat"])
        return _done()


class TurnActions:
    def __init__(self, context: PageContext) -> None:
        self._context = context

    async def answer(self, request: web.Request, owner: Owner) -> web.StreamResponse:
        """``chat``: its addresses are known, too."""
        form, number, chats = form_of(request), number_of(request), self._context.loaded
        turn = await chats.turn(owner, request.match_info["turn"])
        found = next((each for each in turn.answers if each.number == number), None)
        if found is None:
            raise UnknownChat
        chat_id, turns = request.query.get("chat"), [turn]
        if chat_id:
            turns = [*(await chats.chat(owner, chat_id)).turns]

        def shown() -> web.Response:
            return web.json_response(self._context.shapes(form, turns).answer(found, 0))

        return await asyncio.to_thread(shown)

    async def stop(self, request: web.Request, owner: Owner) -> web.StreamResponse:
        await read_json(request, self._context, NothingMore)
        await self._context.loaded.stop(owner, request.match_info["turn"])
        return _done()

    async def retry(self, request: web.Request, owner: Owner) -> web.StreamResponse:
        await read_json(request, self._context, NothingMore)
        await self._context.loaded.retry(owner, request.match_info["turn"])
        return _done()

    async def go_on(self, request: web.Request, owner: Owner) -> web.StreamResponse:
        await read_json(request, self._context, NothingMore)
        await self._context.loaded.go_on(owner, request.match_info["turn"])
        return _done()

    async def edit(self, request: web.Request, owner: Owner) -> web.StreamResponse:
        body = await read_json(request, self._context, EditedQuestion)
        chat_id = await self._context.loaded.edit(owner, request.match_info["turn"], body.text)
        return web.json_response({"chat": chat_id})

    async def choose(self, request: web.Request, owner: Owner) -> web.StreamResponse:
        body = await read_json(request, self._context, ChosenAnswer)
        await self._context.loaded.choose(owner, request.match_info["turn"], body.number)
        return _done()

    async def rate(self, request: web.Request, owner: Owner) -> web.StreamResponse:
        body = await read_json(request, self._context, GivenRating)
        await self._context.loaded.rate(owner, request.match_info["turn"], body.rating)
        return _done()


def _done() -> web.Response:
    return web.Response(status=HTTPStatus.NO_CONTENT)

"""All routes of the page and the terminal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from aiohttp import web

from adapters.web.actions import ChatActions, TurnActions
from adapters.web.admin import AdminView
from adapters.web.asking import Asking
from adapters.web.context import PageContext
from adapters.web.entrance import Entrance
from adapters.web.errors import to_response
from adapters.web.events import Watching
from adapters.web.files import ChatFiles
from adapters.web.headers import NOT_KEPT, SAFE
from adapters.web.owners import browser_secret, check_site, owner_of
from adapters.web.static_files import StaticFile
from bot.chats import Owner
from bot.errors import ParleyError

Answer = Callable[[web.Request, Owner], Awaitable[web.StreamResponse]]
Open = Callable[[web.Request], Awaitable[web.StreamResponse]]

_FILES = ("page.css", "page.js", "admin.css", "admin.js")
_COMPRESSED_FROM = 1_000
"""Bytes."""


def page_routes(context: PageContext) -> list[web.RouteDef]:
    entrance = Entrance(context)
    chats, turns = ChatActions(context), TurnActions(context)
    files, asking, watching = ChatFiles(context), Asking(context), Watching(context)
    open_to_all: dict[tuple[str, str], Open] = {
        ("GET", "/page/state"): entrance.state,
        ("POST", "/page/sign-in"): entrance.sign_in,
        ("POST", "/page/sign-out"): entrance.sign_out,
    }
    owned: dict[tuple[str, str], Answer] = {
        ("GET", "/page/chats"): chats.search,
        ("GET", "/page/chats/{chat}"): chats.read,
        ("PATCH", "/page/chats/{chat}"): chats.change,
        ("DELETE", "/page/chats/{chat}"): chats.forget,
        ("POST", "/page/chats/import"): files.read,
        ("GET", "/page/chats/{chat}/export"): files.write,
        ("POST", "/page/chats/{chat}/turns"): asking.ask,
        ("GET", "/page/turns/{turn}/answers/{number}"): turns.answer,
        ("POST", "/page/turns/{turn}/stop"): turns.stop,
        ("POST", "/page/turns/{turn}/retry"): turns.retry,
        ("POST", "/page/turns/{turn}/continue"): turns.go_on,
        ("PUT", "/page/turns/{turn}/question"): turns.edit,
        ("PUT", "/page/turns/{turn}/answer"): turns.choose,
        ("PUT", "/page/turns/{turn}/rating"): turns.rate,
        ("GET", "/page/events"): watching.watch,
    }
    guard = _Guard(context)
    closed = {where: partial(guard.owned, answer) for where, answer in owned.items()}
    served = {
        where: partial(guard.safe, answer) for where, answer in (open_to_all | closed).items()
    }
    admin = [web.get("/admin", AdminView(context, read).get)] if (read := context.overview) else []
    return [
        web.get("/", entrance.page),
        *(web.get(f"/page/{name}", StaticFile(name).get) for name in _FILES),
        *admin,
        *(web.route(method, path, handler) for (method, path), handler in served.items()),
    ]


class _Guard:
    """What every route has in common."""

    def __init__(self, context: PageContext) -> None:
        self._context = context

    async def owned(self, answer: Answer, request: web.Request) -> web.StreamResponse:
        caller = self._context.callers.caller(request)
        return await answer(request, owner_of(caller, browser_secret(request)))

    async def safe(self, answer: Open, request: web.Request) -> web.StreamResponse:
        """Refusals are sentences, the headers are safe, and it is counted."""
        try:
            check_site(request)
            response = await answer(request)
        except (ParleyError, web.HTTPException) as error:
            response = to_response(error)
        resource = request.match_info.route.resource
        self._context.observe_request(resource.canonical if resource else "", response.status)
        if not response.prepared:
            response.headers.update({**SAFE, **NOT_KEPT})
            if (response.content_length or 0) >= _COMPRESSED_FROM:
                response.enable_compression()
        return response

"""What commands of this machine have the running Parley do with threads."""

from __future__ import annotations

from aiohttp import web

from adapters.http.common.errors import InvalidBody, to_response
from adapters.http.common.json_bodies import NO_JSON, json_object
from bot.adapter_support.callers import CallerCheck
from bot.errors import AccessDenied, ParleyError
from bot.ports import LOCAL_ACCOUNT, Conversations
from bot.types import Place

_PATH = "/threads/forget"
_NOT_OURS = "Only Parley's own commands may ask for this."


def routes(conversations: Conversations, callers: CallerCheck) -> list[web.RouteDef]:
    """For the key that is in the data folder, and no other."""

    async def forget(request: web.Request) -> web.Response:
        caller = callers.caller(request)
        try:
            if not (caller.has_key and caller.account == LOCAL_ACCOUNT):
                raise AccessDenied(_NOT_OURS)
            await conversations.forget_thread(_place(await request.read()))
        except ParleyError as error:
            return to_response(error)
        return web.Response(status=204)

    return [web.post(_PATH, forget)]


def _place(raw: bytes) -> Place:
    """Raises ``InvalidBody``."""
    try:
        body = json_object(raw)
    except ValueError as error:
        raise InvalidBody(f"{NO_JSON}.") from error
    try:
        return Place.parse(str(body.get("thread", "")))
    except ValueError as error:
        raise InvalidBody(f"{error}.", param="thread") from None

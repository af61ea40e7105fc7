"""The long-running command of CodeProject.AI Server's module LlamaChat."""

from __future__ import annotations

from aiohttp import web

from adapters.http.codeproject_ai.chat import LlamaChat
from adapters.http.codeproject_ai.described import CANCEL, CHAT, STATUS
from adapters.http.codeproject_ai.described import OPERATIONS as OPERATIONS
from adapters.http.common.context import HttpContext

_COMMANDS = "llama_?chat/(?:get_command_status|cancel_command)"
SPELLED_OTHERWISE = f"/{{any_case:(?i:v1/(?:text/chat|{_COMMANDS})/?)}}"


def routes(context: HttpContext) -> list[web.RouteDef]:
    """The original's paths, in whatever case; its documentation writes ``llama_chat``."""
    chat = LlamaChat(context)
    handlers = {CHAT: chat.chat, STATUS: chat.get_command_status, CANCEL: chat.cancel_command}
    plain = {path.lower(): handler for path, handler in handlers.items()}

    async def spelled_otherwise(request: web.Request) -> web.StreamResponse:
        path = request.match_info["any_case"].lower().rstrip("/")
        return await plain[f"/{path.replace('_chat', 'chat')}"](request)

    exact = [web.post(path, handler) for path, handler in handlers.items()]
    return [*exact, web.post(SPELLED_OTHERWISE, spelled_otherwise)]

"""The API of Geniusrise's hosted chat, one route for each of its runtimes."""

from __future__ import annotations

from aiohttp import web

from adapters.http.common.context import HttpContext
from adapters.http.geniusrise.chat import RuntimeChat
from adapters.http.geniusrise.described import OPERATIONS as OPERATIONS
from adapters.http.geniusrise.failures import framework_error
from adapters.http.geniusrise.runtimes import LLAMA_CPP, VLLM
from bot.adapter_support.manners import Manner

MANNER = Manner("/api/v1/", framework_error, realm="geniusrise", allow="POST, OPTIONS")


def routes(context: HttpContext) -> list[web.RouteDef]:
    """CherryPy, its server, knows a method by its name in the path, and by aliases."""
    chat = RuntimeChat(context)
    return [
        web.post("/api/v1/chat", chat.prompt),
        *(web.post(f"/api/v1/{name}", chat.of(VLLM)) for name in ("chat_vllm", "completions")),
        *(
            web.post(f"/api/v1/{name}", chat.of(LLAMA_CPP))
            for name in ("chat_llama_cpp", "completion")
        ),
    ]

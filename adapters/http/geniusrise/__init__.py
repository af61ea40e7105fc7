"""The API of Geniusrise's hosted chat, one route for each of its runtimes."""

from __future__ import annotations

from aiohttp import web

from adapters.http.common.context import HttpContext
from adapters.http.geniusrise.chat import Runtimes, answering
from adapters.http.geniusrise.described import OPERATIONS as OPERATIONS
from adapters.http.geniusrise.failures import framework_error
from bot.adapter_support.manners import Manner

MANNER = Manner("/api/v1/", framework_error, realm="geniusrise", allow="POST, OPTIONS")


def routes(context: HttpContext) -> list[web.RouteDef]:
    """CherryPy, its server, knows a method by its name in the path, and by an alias."""
    runtimes = Runtimes(context)
    named = {
        "chat": runtimes.pipeline,
        **dict.fromkeys(("chat_vllm", "completions"), runtimes.vllm),
        **dict.fromkeys(("chat_llama_cpp", "completion"), runtimes.llama_cpp),
    }
    return [web.post(f"/api/v1/{name}", answering(answer)) for name, answer in named.items()]

"""The interface of csps-llm: a socket, plain text, JSON, and kept sessions."""

from __future__ import annotations

from aiohttp import web

from adapters.http.common.context import HttpContext
from adapters.http.csps_llm.cards import Cards
from adapters.http.csps_llm.described import OPERATIONS as OPERATIONS
from adapters.http.csps_llm.json_answers import JsonAnswers
from adapters.http.csps_llm.missing import MISSING, refuse
from adapters.http.csps_llm.socket import PromptSocket
from adapters.http.csps_llm.text import TextAnswers


def routes(context: HttpContext) -> list[web.RouteDef]:
    """A HEAD asks nothing, where a GET would ask the model."""
    missing = [path.replace("{name}", r"{name:[\s\S]+}") for path in MISSING]
    cards, text = Cards(context), TextAnswers(context)
    return [
        web.get("/gpt-socket/{personality}", PromptSocket(context).open, allow_head=False),
        web.get("/gpt/{personality}", text.answer, allow_head=False),
        web.post("/gpt/{personality}", text.answer),
        web.delete("/gpt/{personality}", text.forget),
        web.post("/toil/{personality}", JsonAnswers(context).answer),
        web.get("/describe/{personality}", cards.describe),
        web.get("/platform/stats", cards.stats),
        *(make(path, refuse) for path in missing for make in (web.get, web.post)),
    ]

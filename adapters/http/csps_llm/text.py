"""An answer as plain text that grows, for ``curl`` and scripts."""

from __future__ import annotations

from aiohttp import web

from adapters.http.common.context import HttpContext, route_of
from adapters.http.common.forms import form_fields, query_fields
from adapters.http.csps_llm.answering import tell, text_refusal
from adapters.http.csps_llm.asking import (
    SESSION_HEADER,
    personality_of,
    refuse_other_sites,
    session_of,
)
from adapters.http.csps_llm.markers import is_blank, read_prompt
from bot.adapter_support.event_stream import EventStream
from bot.errors import EmptyQuestion, EngineFailed, ParleyError, StorageError
from bot.types import SessionQuestion

_NO_PROMPT = "There is no prompt; send it as ?prompt=… or as a field of a form."


class TextAnswers:
    def __init__(self, context: HttpContext) -> None:
        self._context = context

    async def answer(self, request: web.Request) -> web.StreamResponse:
        try:
            question = await self._question(request)
        except ParleyError as error:
            return text_refusal(error)
        headers = {
            "Content-Type": "text/plain; charset=utf-8",
            SESSION_HEADER: question.session.key,
        }
        clock, patience = self._context.clock, self._context.patience
        async with EventStream(request, clock, patience, headers) as stream:
            try:
                await self._write(stream, question)
            except ParleyError as error:
                is_failure = isinstance(error, EngineFailed | StorageError)
                if not (stream.has_begun or is_failure):
                    return text_refusal(error)
                gap = "\n\n" if stream.has_begun else ""
                await stream.send(f"{gap}{error}\n".encode())
            return await stream.end()

    async def forget(self, request: web.Request) -> web.Response:
        """Delete the session that the query names."""
        try:
            personality = personality_of(request, self._context).name
            key = request.query.get("session", "")
            session = session_of(request, personality, key)
            if session.key != key or not await self._context.conversations.forget(session):
                return web.Response(status=404, text="There is no such session.\n")
        except ParleyError as error:
            return text_refusal(error)
        return web.Response(text="The session is forgotten.\n")

    async def _question(self, request: web.Request) -> SessionQuestion:
        refuse_other_sites(request)
        personality = personality_of(request, self._context).name
        fields = await _fields(request)
        prompt = read_prompt(fields.get("prompt", ""))
        if is_blank(prompt.text):
            raise EmptyQuestion(_NO_PROMPT)
        session = session_of(request, personality, fields.get("session") or prompt.session)
        return SessionQuestion(
            session=session,
            text=prompt.text,
            route=route_of(request),
            sites=prompt.sites,
            needs_pages=prompt.needs_page,
        )

    async def _write(self, stream: EventStream, question: SessionQuestion) -> None:
        async def send(text: str) -> None:
            await stream.send(text.encode())

        generation = await self._context.conversations.converse(question)
        await tell(generation, self._context.clock, send)


async def _fields(request: web.Request) -> dict[str, str]:
    """Of the query, and of a form where that has nothing."""
    found = await form_fields(request) if request.method == "POST" else {}
    return found | {name: value for name, value in query_fields(request).items() if value}

"""Work for the model whose answer is JSON, with or without a schema."""

from __future__ import annotations

import json
from typing import Annotated

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from adapters.http.common.answers import whole_answer
from adapters.http.common.context import HttpContext, route_of
from adapters.http.csps_llm.answering import json_refusal
from adapters.http.csps_llm.asking import SESSION_HEADER, personality_of, session_of
from adapters.http.csps_llm.markers import SOMETHING, is_address, is_blank
from adapters.http.openai.answer_formats import SchemaOrText, as_schema
from adapters.http.openai.reading import json_bytes, read_as
from bot.adapter_support.addresses import ACCOUNT
from bot.adapter_support.quoting import quoted, with_quotes
from bot.answer_formats import AnswerFormat, JsonObject
from bot.errors import EmptyQuestion, EngineFailed, ParleyError
from bot.generation import ChatMessage, CompletionRequest
from bot.ports import Generation
from bot.types import Session, SessionQuestion

_MAX_TOKENS = 2_048
"""Of an answer: one that is cut is no JSON."""

_NO_JSON = "The answer became too long to be whole JSON; ask for less."


Prompt = Annotated[str, Field(json_schema_extra={"pattern": SOMETHING})]
"""Only described so: whoever sends none is told in a sentence of ours."""


class ToilBody(BaseModel):
    """``text``: what the prompt is about, or the address of that. Other keys are ignored."""

    model_config = ConfigDict(strict=True)

    prompt: Prompt
    definition: Annotated[SchemaOrText | None, Field(alias="schema")] = None
    text: str | None = None

    @property
    def question(self) -> str:
        """Raises ``EmptyQuestion``."""
        if is_blank(self.prompt):
            raise EmptyQuestion("There is no prompt.")
        text = self.text or ""
        if self.needs_page:
            return with_quotes(text, self.prompt.strip(), self._instruction)
        text = quoted("Text", text) if text else ""
        return with_quotes("", text, self.prompt.strip(), self._instruction)

    @property
    def needs_page(self) -> bool:
        return is_address(self.text or "")

    @property
    def answer_format(self) -> AnswerFormat:
        return JsonObject() if self.definition is None else as_schema(self.definition)

    @property
    def _instruction(self) -> str:
        """The model is held to its format in any case, and answers better when it knows."""
        if self.definition is None:
            return "Answer with a JSON object."
        return f"Answer with JSON by this schema: {as_schema(self.definition).schema}"


class JsonAnswers:
    def __init__(self, context: HttpContext) -> None:
        self._context = context

    async def answer(self, request: web.Request) -> web.Response:
        try:
            return await self._answer(request)
        except ParleyError as error:
            return json_refusal(error)

    async def _answer(self, request: web.Request) -> web.Response:
        """Without a session nothing is kept."""
        personality = personality_of(request, self._context).name
        body = read_as(ToilBody, await json_bytes(request))
        key = request.query.get("session")
        if key is None:
            return await _whole(await self._complete(request, personality, body))
        session = session_of(request, personality, key)
        generation = await self._converse(request, session, body)
        return await _whole(generation, {SESSION_HEADER: session.key})

    async def _complete(self, request: web.Request, personality: str, body: ToilBody) -> Generation:
        asked = CompletionRequest(
            account=request[ACCOUNT],
            messages=(ChatMessage("user", body.question),),
            personality=personality,
            max_tokens=_MAX_TOKENS,
            answer_format=body.answer_format,
            route=route_of(request),
            needs_pages=body.needs_page,
        )
        return await self._context.conversations.complete(asked)

    async def _converse(self, request: web.Request, session: Session, body: ToilBody) -> Generation:
        asked = SessionQuestion(
            session=session,
            text=body.question,
            answer_format=body.answer_format,
            max_tokens=_MAX_TOKENS,
            route=route_of(request),
            needs_pages=body.needs_page,
        )
        return await self._context.conversations.converse(asked)


async def _whole(generation: Generation, headers: dict[str, str] | None = None) -> web.Response:
    try:
        text = (await whole_answer(generation)).said.text
    finally:
        generation.cancel()
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        raise EngineFailed(_NO_JSON) from None
    return web.Response(text=text, content_type="application/json", headers=headers)

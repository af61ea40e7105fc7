"""The chat API of OpenAI: one request, one reply, streamed or whole."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from aiohttp import web

from adapters.http.common.answers import WholeAnswer, whole_answer
from adapters.http.common.context import HttpContext, route_of
from adapters.http.common.errors import to_response
from adapters.http.common.models import Resolved
from adapters.http.openai.body import ChatBody, parse
from adapters.http.openai.reading import json_bytes, thread_name
from adapters.http.openai.shapes import Chunks, Envelope, completion
from adapters.http.openai.streaming import streamed
from bot.adapter_support.addresses import ACCOUNT
from bot.errors import ParleyError
from bot.generation import CompletionRequest

WholeShape = Callable[[Envelope, Sequence[WholeAnswer]], Mapping[str, object]]


class ChatCompletions:
    def __init__(self, context: HttpContext) -> None:
        self._conversations = context.conversations
        self._models = context.models
        self._clock = context.clock
        self._patience = context.patience

    async def create(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self._answer(request)
        except ParleyError as error:
            return to_response(error)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = parse(await json_bytes(request))
        model = self._models.resolve(body.model)
        asked = completion_request(request, body, model)
        return await self.answer(request, body, asked, model.name)

    async def answer(
        self,
        request: web.Request,
        body: ChatBody,
        asked: CompletionRequest,
        model: str,
        shape: WholeShape = completion,
    ) -> web.StreamResponse:
        """A client that hangs up cancels this task, and with it the generation.

        ``shape``: of an answer that is not streamed. Raises ``ParleyError`` while nothing is sent.
        """
        envelope = self._envelope(model, has_older_calls=body.has_older_tools)
        asked = replace(asked, route=route_of(request), answer_id=envelope.id)
        with body.naming_format():
            generations = await self._conversations.complete_all(asked, body.n or 1)
        try:
            if not body.stream:
                answers = [await whole_answer(generation) for generation in generations]
                return web.json_response(shape(envelope, answers))
            chunks = Chunks(envelope, len(generations), include_usage=body.include_usage)
            return await streamed(request, generations, chunks, self._clock, self._patience)
        finally:
            for generation in generations:
                generation.cancel()

    def _envelope(self, model: str, *, has_older_calls: bool) -> Envelope:
        created = int(self._clock.now().timestamp())
        number = f"chatcmpl-{secrets.token_hex(12)}"
        return Envelope(number, created, model, has_older_calls=has_older_calls)


def completion_request(request: web.Request, body: ChatBody, model: Resolved) -> CompletionRequest:
    return CompletionRequest(
        account=request[ACCOUNT],
        messages=body.chat_messages,
        user=body.user,
        personality=model.personality,
        model=model.model,
        sampling=body.sampling,
        num_logprobs=body.num_logprobs,
        max_tokens=body.token_limit,
        stop=body.stop_texts,
        thread=thread_name(request),
        cache_salt=body.cache_salt,
        answer_format=body.answer_format,
        tool_use=body.tool_use,
        loop_guard=body.loop_guard,
        continues=body.continues,
        is_background=body.is_background,
    )

"""The Responses API of OpenAI, as far as a chat needs it: nothing of an answer is stored."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import aclosing

from aiohttp import web

from adapters.http.common.answers import (
    NOT_FINISHED,
    finished_of,
    raise_failure,
    said,
    whole_answer,
)
from adapters.http.common.context import HttpContext, route_of
from adapters.http.common.errors import to_body, to_response
from adapters.http.common.models import Resolved
from adapters.http.common.sse import batches
from adapters.http.openai.reading import json_bytes, thread_name
from adapters.http.openai.responses_body import ResponsesBody, parse_responses
from adapters.http.openai.responses_shapes import Response, ResponseEvents, whole_response
from adapters.http.openai.streaming import IDLE_SECONDS, sign_of_life
from bot.adapter_support.addresses import ACCOUNT
from bot.adapter_support.event_stream import EventStream
from bot.errors import ParleyError
from bot.generation import CompletionRequest, GenerationEvent
from bot.ports import Generation

_NAMES = {"messages": "input", "response_format": "text.format"}


class Responses:
    def __init__(self, context: HttpContext) -> None:
        self._conversations = context.conversations
        self._models = context.models
        self._clock = context.clock
        self._patience = context.patience

    async def create(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self._answer(request)
        except ParleyError as error:
            return to_response(error, _NAMES)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        """A client that hangs up cancels this task, and with it the generation."""
        body = parse_responses(await json_bytes(request))
        model = self._models.resolve(body.model)
        response = self._response(model.name, body)
        asked = _completion_request(request, body, model, response.id)
        generation = await self._conversations.complete(asked)
        try:
            if body.stream:
                return await self._streamed(request, generation, ResponseEvents(response))
            return web.json_response(whole_response(response, await whole_answer(generation)))
        finally:
            generation.cancel()

    def _response(self, model: str, body: ResponsesBody) -> Response:
        created = int(self._clock.now().timestamp())
        return Response(f"resp_{secrets.token_hex(12)}", created, model, body)

    async def _streamed(
        self, request: web.Request, generation: Generation, events: ResponseEvents
    ) -> web.StreamResponse:
        async with (
            EventStream(request, self._clock, self._patience) as stream,
            aclosing(batches([generation], self._clock, IDLE_SECONDS)) as arriving,
        ):
            try:
                await _relay(arriving, stream, events)
            except ParleyError as error:
                if not stream.has_begun:
                    raise
                await stream.send(events.fail(to_body(error, _NAMES)["error"]))
            return await stream.end()


async def _relay(
    arriving: AsyncIterator[list[tuple[int, GenerationEvent]]],
    stream: EventStream,
    events: ResponseEvents,
) -> None:
    """A failure before anything else is sent has a status of its own."""
    async for batch in arriving:
        happened = [event for _, event in batch]
        finished = finished_of(happened)
        if finished and not stream.has_begun:
            raise_failure(finished)
        if not stream.has_begun:
            await stream.send(events.begin())
        if data := events.delta(said(happened)) or sign_of_life(batch):
            await stream.send(data)
        if finished:
            raise_failure(finished)
            await stream.send(events.end(finished.reason, finished.usage))
            return
    raise_failure(NOT_FINISHED)


def _completion_request(
    request: web.Request, body: ResponsesBody, model: Resolved, answer_id: str
) -> CompletionRequest:
    return CompletionRequest(
        account=request[ACCOUNT],
        messages=body.chat_messages,
        user=body.person,
        personality=model.personality,
        model=model.model,
        sampling=body.chosen(),
        num_logprobs=body.num_logprobs,
        max_tokens=body.max_output_tokens,
        thread=thread_name(request),
        cache_salt=body.cache_salt,
        answer_format=body.answer_format,
        tool_use=body.tool_use,
        is_background=body.is_background,
        route=route_of(request),
        answer_id=answer_id,
    )

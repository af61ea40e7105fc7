"""The chat API of OpenAI: one request, one reply, streamed or whole."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace

from aiohttp import web

from adapters.http.common.answers import (
    NOT_FINISHED,
    WholeAnswer,
    finished_of,
    raise_failure,
    said,
    whole_answer,
)
from adapters.http.common.context import HttpContext, route_of
from adapters.http.common.errors import to_body, to_response
from adapters.http.common.models import Resolved
from adapters.http.common.sse import EventStream, batches
from adapters.http.openai.body import ChatBody, parse
from adapters.http.openai.reading import json_bytes, thread_name
from adapters.http.openai.shapes import (
    DONE,
    Chunks,
    Envelope,
    comment,
    completion,
    event,
)
from bot.adapter_support.addresses import ACCOUNT
from bot.errors import ParleyError
from bot.ports import Generation
from bot.types import CompletionRequest, GenerationEvent, Queued

IDLE_SECONDS = 15.0  # proxies give up on a line that is silent for a minute

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
        envelope = self._envelope(model)
        asked = replace(asked, route=route_of(request), answer_id=envelope.id)
        generations = await self._conversations.complete_all(asked, body.n or 1)
        try:
            if not body.stream:
                answers = [await whole_answer(generation) for generation in generations]
                return web.json_response(shape(envelope, answers))
            chunks = Chunks(envelope, len(generations), include_usage=body.include_usage)
            return await self._streamed(request, generations, chunks)
        finally:
            for generation in generations:
                generation.cancel()

    def _envelope(self, model: str) -> Envelope:
        created = int(self._clock.now().timestamp())
        return Envelope(f"chatcmpl-{secrets.token_hex(12)}", created, model)

    async def _streamed(
        self, request: web.Request, generations: Sequence[Generation], chunks: Chunks
    ) -> web.StreamResponse:
        async with (
            EventStream(request, self._clock, self._patience) as stream,
            aclosing(batches(generations, self._clock, IDLE_SECONDS)) as arriving,
        ):
            try:
                await _relay(arriving, stream, chunks)
            except ParleyError as error:
                if not stream.has_begun:
                    raise
                await stream.send(event(to_body(error)) + DONE)
            return await stream.end()


async def _relay(
    arriving: AsyncIterator[list[tuple[int, GenerationEvent]]],
    stream: EventStream,
    chunks: Chunks,
) -> None:
    async for batch in arriving:
        answers = [[event for number, event in batch if number == i] for i in range(chunks.num)]
        data = b"".join(chunks.delta(i, said(events)) for i, events in enumerate(answers))
        if data := data or sign_of_life(batch):
            await stream.send(data)
        for index, events in enumerate(answers):
            if finished := finished_of(events):
                raise_failure(finished)
                await stream.send(chunks.end(index, finished.reason, finished.usage))
    if not chunks.have_ended:
        raise_failure(NOT_FINISHED)
    await stream.send(chunks.close())


def sign_of_life(batch: Sequence[tuple[int, GenerationEvent]]) -> bytes:
    match batch:
        case []:
            return comment("working")
        case [*_, (_, Queued(loading=model))] if model:
            return comment(f"loading {model}")
        case [*_, (_, Queued(place))]:
            return comment(f"queued {place}")
    return b""


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
        loop_guard=body.loop_guard,
        continues=body.continues,
    )

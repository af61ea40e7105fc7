"""The chat API of OpenAI: one request, one reply, streamed or whole."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from http import HTTPStatus
from itertools import chain
from types import MappingProxyType

from aiohttp import web

from adapters.http.body import ChatBody, parse
from adapters.http.errors import InvalidBody, to_body, to_response
from adapters.http.models import ModelNames, Models, Resolved
from adapters.http.shapes import (
    DONE,
    Chunks,
    Envelope,
    GeneratedText,
    WholeAnswer,
    comment,
    completion,
    event,
)
from adapters.http.sse import EventStream, batches
from bot.adapter_support.addresses import ACCOUNT
from bot.errors import EngineFailed, ParleyError
from bot.ports import Clock, Conversations, Generation
from bot.types import (
    CompletionRequest,
    Delta,
    Finished,
    FinishReason,
    GenerationEvent,
    Queued,
    Reasoning,
)

_IDLE_SECONDS = 15.0  # proxies give up on a line that is silent for a minute
_MAX_THREAD_NAME = 256
_NOT_FINISHED = Finished(FinishReason.ERROR, detail="The engine ended without a reply.")


class ChatCompletions:
    def __init__(
        self, conversations: Conversations, models: Models, clock: Clock, patience: float
    ) -> None:
        self._conversations = conversations
        self._models = models
        self._clock = clock
        self._patience = patience

    async def create(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self._answer(request)
        except ParleyError as error:
            return to_response(error)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        """A client that hangs up cancels this task, and with it the generation."""
        body = parse(await _json_bytes(request))
        model = self._models.resolve(body.model)
        asked = _completion_request(request, body, model)
        generations = await self._conversations.complete_all(asked, body.n or 1)
        try:
            envelope = self._envelope(model.name)
            if not body.stream:
                return await _whole(generations, envelope)
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
            aclosing(batches(generations, self._clock, _IDLE_SECONDS)) as arriving,
        ):
            try:
                await _relay(arriving, stream, chunks)
            except ParleyError as error:
                if not stream.has_begun:
                    raise
                await stream.send(event(to_body(error)) + DONE)
            return await stream.end()


async def _whole(generations: Sequence[Generation], envelope: Envelope) -> web.Response:
    answers = []
    for generation in generations:
        events = [event async for event in generation]
        finished = _finished(events) or _NOT_FINISHED
        _raise_failure(finished)
        answers.append(WholeAnswer(_said(events), finished.reason, finished.usage))
    return web.json_response(completion(envelope, answers))


async def _relay(
    arriving: AsyncIterator[list[tuple[int, GenerationEvent]]],
    stream: EventStream,
    chunks: Chunks,
) -> None:
    async for batch in arriving:
        answers = [[event for number, event in batch if number == i] for i in range(chunks.num)]
        data = b"".join(chunks.delta(i, _said(events)) for i, events in enumerate(answers))
        if data := data or _sign_of_life(batch):
            await stream.send(data)
        for index, events in enumerate(answers):
            if finished := _finished(events):
                _raise_failure(finished)
                await stream.send(chunks.end(index, finished.reason, finished.usage))
    if not chunks.have_ended:
        _raise_failure(_NOT_FINISHED)
    await stream.send(chunks.close())


def _sign_of_life(batch: Sequence[tuple[int, GenerationEvent]]) -> bytes:
    match batch:
        case []:
            return comment("working")
        case [*_, (_, Queued(loading=model))] if model:
            return comment(f"loading {model}")
        case [*_, (_, Queued(place))]:
            return comment(f"queued {place}")
    return b""


def _said(events: Sequence[GenerationEvent]) -> GeneratedText:
    deltas = [event for event in events if isinstance(event, Delta)]
    text = "".join(delta.text for delta in deltas)
    logprobs = tuple(chain.from_iterable(delta.logprobs for delta in deltas))
    reasoning = "".join(event.text for event in events if isinstance(event, Reasoning))
    return GeneratedText(text, reasoning, logprobs)


def _finished(events: Sequence[GenerationEvent]) -> Finished | None:
    last = events[-1] if events else None
    return last if isinstance(last, Finished) else None


def _raise_failure(finished: Finished) -> None:
    if finished.reason is FinishReason.ERROR:
        raise EngineFailed(finished.detail or "The engine failed under this reply.")
    if finished.reason is FinishReason.CANCELLED:  # not by the client, who would be gone
        raise EngineFailed("Parley is stopping; please ask again in a moment.")


async def _json_bytes(request: web.Request) -> bytes:
    if request.content_type != "application/json":
        raise InvalidBody(
            "The body must be JSON, with the header 'Content-Type: application/json'.",
            code="unsupported_media_type",
            status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        )
    return await request.read()


def _completion_request(request: web.Request, body: ChatBody, model: Resolved) -> CompletionRequest:
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
        thread=_thread(request),
        answer_format=body.answer_format,
        loop_guard=body.loop_guard,
    )


def _thread(request: web.Request) -> str | None:
    name = request.headers.get("X-Parley-Thread")
    if name and (len(name) > _MAX_THREAD_NAME or not name.isprintable()):
        raise InvalidBody(
            f"X-Parley-Thread is a name of at most {_MAX_THREAD_NAME} printable characters.",
            param="X-Parley-Thread",
        )
    return name or None


def routes(
    conversations: Conversations,
    *,
    model_names: ModelNames,
    aliases: Mapping[str, str] = MappingProxyType({}),
    clock: Clock,
    patience: float = 30.0,
) -> list[web.RouteDef]:
    """The connection of a client that reads nothing for ``patience`` seconds is closed."""
    models = Models(conversations, model_names, aliases, created=int(clock.now().timestamp()))
    chat = ChatCompletions(conversations, models, clock, patience)
    return [
        web.post("/v1/chat/completions", chat.create),
        web.get("/v1/models", models.list),
        web.get("/v1/models/{model:.+}", models.retrieve),
    ]

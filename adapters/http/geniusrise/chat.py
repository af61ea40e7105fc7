"""The chat of each runtime: one request, one whole answer, unless the client takes a stream."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from aiohttp import web

from adapters.http.common.answers import WholeAnswer
from adapters.http.common.context import HttpContext
from adapters.http.common.errors import InvalidBody
from adapters.http.common.models import Resolved
from adapters.http.geniusrise.failures import exception
from adapters.http.geniusrise.requests import (
    PromptBody,
    chat_body,
    may_stream,
    prompt_body,
    read,
)
from adapters.http.geniusrise.runtimes import PIPELINE, Runtime
from adapters.http.openai.chat import ChatCompletions, WholeShape, completion_request
from adapters.http.openai.shapes import Envelope, completion
from bot.errors import ParleyError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class RuntimeChat:
    def __init__(self, context: HttpContext) -> None:
        self._models = context.models
        self._chat = ChatCompletions(context)

    def of(self, runtime: Runtime) -> Handler:
        async def create(request: web.Request) -> web.StreamResponse:
            try:
                return await self._answer(request, await read(request), runtime)
            except ParleyError as error:
                return exception(error)

        return create

    async def prompt(self, request: web.Request) -> web.StreamResponse:
        try:
            sent = await read(request)
            body = prompt_body(sent)
            asked = {**sent, "messages": body.messages, "n": 1}
            return await self._answer(request, asked, PIPELINE, partial(_result, body))
        except ParleyError as error:
            return exception(error)

    async def _answer(
        self,
        request: web.Request,
        sent: Mapping[str, Any],
        runtime: Runtime,
        shape: WholeShape = completion,
    ) -> web.StreamResponse:
        body = chat_body(sent)
        body.stream = body.stream and may_stream(request)
        model = self._model(body.model)
        asked = replace(
            completion_request(request, body, model),
            default_sampling=runtime.sampling,
            max_tokens=body.token_limit or runtime.max_tokens,
        )
        return await self._chat.answer(request, body, asked, model.name, shape)

    def _model(self, asked: str | None) -> Resolved:
        """Its server had one model, and answered whatever was named."""
        try:
            return self._models.resolve(asked)
        except InvalidBody:
            return self._models.resolve(None)


def _result(
    body: PromptBody, envelope: Envelope, answers: Sequence[WholeAnswer]
) -> dict[str, object]:
    """As its server answered; whoever sent ``prompt`` may wait for the shape of OpenAI."""
    found: dict[str, object] = {
        "user_prompt": body.question,
        "system_prompt": body.system_prompt,
        "result": answers[0].said.text,
    }
    return found if body.prompt is None else {**completion(envelope, answers), **found}

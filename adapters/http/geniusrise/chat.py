"""The runtimes: one request, one whole answer, unless the client takes a stream."""

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
    completion_body,
    may_stream,
    prompt_body,
    read,
)
from adapters.http.geniusrise.runtimes import LLAMA_CPP, PIPELINE, RAW_LLAMA_CPP, VLLM, Runtime
from adapters.http.openai.chat import ChatCompletions, WholeShape, completion_request
from adapters.http.openai.completions import TextCompletions
from adapters.http.openai.shapes import Envelope, completion
from bot.errors import ParleyError

Sent = Mapping[str, Any]
Answer = Callable[[web.Request, Sent], Awaitable[web.StreamResponse]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def answering(answer: Answer) -> Handler:
    """Reads the request, and tells what is wrong with it as an exception."""

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return await answer(request, await read(request))
        except ParleyError as error:
            return exception(error)

    return handle


class Runtimes:
    def __init__(self, context: HttpContext) -> None:
        self._models = context.models
        self._chat = ChatCompletions(context)
        self._text = TextCompletions(context)

    async def pipeline(self, request: web.Request, sent: Sent) -> web.StreamResponse:
        """Hugging Face's: a question without messages."""
        body = prompt_body(sent)
        asked = {**sent, "messages": body.messages, "n": 1}
        return await self._chat_with(request, asked, PIPELINE, partial(_result, body))

    async def vllm(self, request: web.Request, sent: Sent) -> web.StreamResponse:
        return await self._chat_with(request, sent, VLLM)

    async def llama_cpp(self, request: web.Request, sent: Sent) -> web.StreamResponse:
        """Without messages a prompt is continued as it is."""
        if "messages" in sent or "prompt" not in sent:
            return await self._chat_with(request, sent, LLAMA_CPP)
        body = completion_body(sent, RAW_LLAMA_CPP.max_tokens)
        body.stream = body.stream and may_stream(request)
        model, sampling = self._model(body.model), RAW_LLAMA_CPP.sampling
        return await self._text.answer(request, body, model, sampling)

    async def _chat_with(
        self,
        request: web.Request,
        sent: Sent,
        runtime: Runtime,
        shape: WholeShape = completion,
    ) -> web.StreamResponse:
        body = chat_body(sent, runtime.max_tokens)
        body.stream = body.stream and may_stream(request)
        model = self._model(body.model)
        asked = completion_request(request, body, model)
        asked = replace(asked, default_sampling=runtime.sampling)
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

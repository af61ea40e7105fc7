"""The older completions of OpenAI: raw prompts, each with its answers, streamed or whole."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from aiohttp import web

from adapters.http.common.answers import whole_answer
from adapters.http.common.context import HttpContext, route_of
from adapters.http.common.errors import to_response
from adapters.http.common.models import Resolved
from adapters.http.openai.body import parse_as
from adapters.http.openai.completion_body import CompletionBody
from adapters.http.openai.reading import json_bytes, thread_name
from adapters.http.openai.shapes import Envelope
from adapters.http.openai.streaming import streamed
from adapters.http.openai.text_shapes import TextChunks, TextReply, text_completion
from bot.adapter_support.addresses import ACCOUNT
from bot.errors import ParleyError
from bot.generation import CompletionRequest, RawPrompt

_NAMES = {"messages": "prompt", "tokens": "prompt"}


class TextCompletions:
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
        body = parse_as(CompletionBody, await json_bytes(request))
        return await self.answer(request, body, self._models.resolve(body.model))

    async def answer(
        self,
        request: web.Request,
        body: CompletionBody,
        model: Resolved,
        default_sampling: Mapping[str, float] = MappingProxyType({}),
    ) -> web.StreamResponse:
        """A client that hangs up cancels this task, and with it all answers.

        Raises ``ParleyError`` while nothing is sent.
        """
        reply = await self._reply(request, body, model)
        asked = _completion_request(request, body, model, reply.envelope.id)
        asked = replace(asked, default_sampling=default_sampling)
        with body.naming_format():
            generations = await self._conversations.complete_all(asked, body.num_answers)
        try:
            if not body.stream:
                answers = [await whole_answer(generation) for generation in generations]
                return web.json_response(text_completion(reply, answers))
            chunks = TextChunks(reply, len(generations), include_usage=body.include_usage)
            return await streamed(request, generations, chunks, self._clock, self._patience, _NAMES)
        finally:
            for generation in generations:
                generation.cancel()

    async def _reply(
        self, request: web.Request, body: CompletionBody, model: Resolved
    ) -> TextReply:
        created = int(self._clock.now().timestamp())
        envelope = Envelope(f"cmpl-{secrets.token_hex(12)}", created, model.name)
        needs_texts = body.echo or body.logprobs is not None
        prompts = [
            await self._text(request, prompt, model) if needs_texts else ""
            for prompt in body.prompts
        ]
        return TextReply(envelope, prompts, body.num_answers, echoes=bool(body.echo))

    async def _text(self, request: web.Request, prompt: RawPrompt, model: Resolved) -> str:
        if isinstance(prompt.content, str):
            return prompt.content
        tokenizer = await self._conversations.tokenizer(
            request[ACCOUNT], model.personality, model.model
        )
        return await tokenizer.detokenize(prompt.content)


def _completion_request(
    request: web.Request, body: CompletionBody, model: Resolved, answer_id: str
) -> CompletionRequest:
    return CompletionRequest(
        account=request[ACCOUNT],
        prompts=body.prompts,
        user=body.user,
        personality=model.personality,
        model=model.model,
        sampling=body.sampling,
        num_logprobs=body.logprobs,
        max_tokens=body.token_limit,
        stop=body.stop_texts,
        thread=thread_name(request),
        cache_salt=body.cache_salt,
        answer_format=body.answer_format,
        loop_guard=body.loop_guard,
        is_background=body.is_background,
        route=route_of(request),
        answer_id=answer_id,
    )

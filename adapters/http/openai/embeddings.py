"""Embeddings, as far as a model's server makes them; no model of Parley's own does."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import BeforeValidator, Field

from adapters.http.common.context import HttpContext
from adapters.http.common.errors import to_response
from adapters.http.openai.completion_body import Prompts
from adapters.http.openai.messages import Name, StrictBody
from adapters.http.openai.other_keys import refuse_in_body, unless_empty
from adapters.http.openai.reading import json_bytes, read_as
from bot.adapter_support.addresses import ACCOUNT
from bot.errors import ParleyError


class EmbeddingBody(StrictBody):
    input: Prompts
    model: Name | None = None
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Field(ge=1)] | None = None
    user: Annotated[Name | None, BeforeValidator(unless_empty)] = None

    @property
    def passed_on(self) -> dict[str, Any]:
        return self.model_dump(include=_PASSED_ON, exclude_none=True)


_PASSED_ON = {"input", "encoding_format", "dimensions"}


class Embeddings:
    def __init__(self, context: HttpContext) -> None:
        self._conversations = context.conversations
        self._models = context.models

    async def create(self, request: web.Request) -> web.Response:
        try:
            return await self._answer(request)
        except ParleyError as error:
            return to_response(error)

    async def _answer(self, request: web.Request) -> web.Response:
        body = read_as(EmbeddingBody, await json_bytes(request))
        refuse_in_body(body.model_extra or {})
        model = self._models.resolve(body.model)
        asked = request[ACCOUNT], body.user, model.model, body.passed_on
        found = await self._conversations.embed(*asked)
        return web.json_response({**found, "model": model.name})

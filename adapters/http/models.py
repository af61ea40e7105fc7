"""The model without a personality, and each personality as a model of its own."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web

from adapters.http.errors import InvalidBody, to_response
from bot.ports import Conversations


class Models:
    def __init__(self, conversations: Conversations, model_name: str, created: int) -> None:
        self._conversations = conversations
        self._model_name = model_name
        self._created = created

    async def list(self, request: web.Request) -> web.Response:
        data = [self._object(name) for name in self._names()]
        return web.json_response({"object": "list", "data": data})

    async def retrieve(self, request: web.Request) -> web.Response:
        try:
            name, _ = self.resolve(request.match_info["model"])
        except InvalidBody as error:
            return to_response(error)
        return web.json_response(self._object(name))

    def resolve(self, asked: str | None) -> tuple[str, str | None]:
        """The name to answer under, and the personality it means, if any."""
        if not asked or asked == self._model_name:
            return self._model_name, None
        if asked not in self._names():
            raise InvalidBody(
                f"There is no model {asked!r}; known are {', '.join(self._names())}.",
                param="model",
                code="model_not_found",
                status=HTTPStatus.NOT_FOUND,
            )
        return asked, asked

    def _names(self) -> tuple[str, ...]:
        personalities = (p.name for p in self._conversations.personalities())
        return tuple(dict.fromkeys((self._model_name, *personalities)))

    def _object(self, name: str) -> dict[str, object]:
        return {"id": name, "object": "model", "created": self._created, "owned_by": "parley"}

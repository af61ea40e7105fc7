"""The model without a personality, and each personality as a model of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from http import HTTPStatus

from aiohttp import web

from adapters.http.errors import InvalidBody, to_response
from bot.ports import Conversations

ModelNames = Callable[[], Sequence[str]]
"""The models that can be asked, the default first; it may change."""


class Models:
    def __init__(self, conversations: Conversations, names: ModelNames, created: int) -> None:
        self._conversations = conversations
        self._model_names = names
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
        default = self._model_names()[0]
        if not asked or asked == default:
            return default, None
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
        return tuple(dict.fromkeys((self._model_names()[0], *personalities)))

    def _object(self, name: str) -> dict[str, object]:
        return {"id": name, "object": "model", "created": self._created, "owned_by": "parley"}

"""The list of models, in OpenAI's shape."""

from __future__ import annotations

from aiohttp import web

from adapters.http.common.errors import to_response
from adapters.http.common.models import Models
from bot.errors import ParleyError


class ModelList:
    """``created``: seconds since 1970, the same for all."""

    def __init__(self, models: Models, created: int) -> None:
        self._models = models
        self._created = created

    async def list(self, request: web.Request) -> web.Response:
        data = [self._object(name) for name in self._models.names()]
        return web.json_response({"object": "list", "data": data})

    async def retrieve(self, request: web.Request) -> web.Response:
        """A listed name is its own, whatever it stands for."""
        asked = request.match_info["model"]
        try:
            name = self._models.resolve(asked).name
        except ParleyError as error:
            return to_response(error)
        return web.json_response(self._object(asked if asked in self._models.names() else name))

    def _object(self, name: str) -> dict[str, object]:
        return {"id": name, "object": "model", "created": self._created, "owned_by": "parley"}

"""A page in the manner of Geniusrise's: the whole conversation at every turn, with basic auth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import aiohttp

LOGIN = ("ann", "secret")


@dataclass(frozen=True)
class Told:
    """``body``: the JSON of the answer, or its text where it is a stream."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def error(self) -> str:
        """What an exception says."""
        assert self.status == 200, self.body
        assert self.body.keys() == {"error"}
        said: str = self.body["error"]
        return said


@dataclass
class Page:
    """Keeps the conversation itself, and each reply as one of ``system``."""

    url: str
    runtime: str = "chat_llama_cpp"
    login: tuple[str, str] | None = LOGIN
    messages: list[dict[str, str]] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        login = {"Authorization": aiohttp.encode_basic_auth(*self.login)} if self.login else {}
        self._session = aiohttp.ClientSession(self.url, headers=login)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def say(self, text: str, **keys: object) -> str:
        """The reply, which stays in the conversation."""
        self.messages.append({"role": "user", "content": text})
        told = await self.post(messages=self.messages, **keys)
        reply: str = told.body["choices"][0]["message"]["content"]
        self.messages.append({"role": "system", "content": reply})
        return reply

    async def post(self, **keys: object) -> Told:
        return await self.call(json=keys)

    async def call(self, method: str = "POST", **options: Any) -> Told:
        path = f"/api/v1/{self.runtime}"
        async with self._session.request(method, path, **options) as answer:
            is_json = answer.content_type == "application/json"
            body = await answer.json() if is_json else await answer.text()
            return Told(answer.status, body, answer.headers)

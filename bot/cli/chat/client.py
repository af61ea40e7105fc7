"""A Parley over HTTP, as its page talks to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, unquote

import aiohttp

from bot.cli.ask import ParleyGone
from bot.errors import ParleyError, RequestError
from bot.lock import is_held, running_key, running_url

Json = Mapping[str, Any]

_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=5.0)
_FORM = {"X-Parley-Page": "1"}
_MARKDOWN = {"as": "markdown"}
_POLL_SECONDS = 0.2
_MAX_LINE = 1 << 24
"""Bytes of one event: a long chat's turn is one line."""


@dataclass(frozen=True, slots=True)
class WireEvent:
    """``name`` and ``data`` as the page gets them."""

    name: str
    data: Json


class PageClient:
    """Whose chats: those of the terminal. Refusals are raised as ``RequestError``.

    ``folder``: the data folder, where a Parley that was started again says where it is.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._session = aiohttp.ClientSession(timeout=_TIMEOUT, read_bufsize=_MAX_LINE)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def until_there(self, seconds: float, *, comes_back: bool = False) -> None:
        """A Parley that starts says where it is in the end. Raises ``ParleyGone``.

        ``comes_back``: also wait for one that somebody has yet to start.
        """
        for _ in range(round(seconds / _POLL_SECONDS)):
            if running_url(self._folder) and running_key(self._folder):
                return
            if not (comes_back or is_held(self._folder)):
                break
            await asyncio.sleep(_POLL_SECONDS)
        raise ParleyGone("Parley does not run (any more); start it, or this, again.")

    async def state(self) -> Json:
        return await self._json("GET", "/page/state")

    async def chats(self, search: str = "") -> Sequence[Json]:
        found = await self._json("GET", "/page/chats", params={"search": search})
        chats: Sequence[Json] = found["chats"]
        return chats

    async def chat(self, chat_id: str) -> Json:
        return await self._json("GET", f"/page/chats/{_part(chat_id)}", params=_MARKDOWN)

    async def ask(
        self, chat_id: str | None, text: str, personality: str | None, files: Sequence[Path]
    ) -> Json:
        where = f"/page/chats/{_part(chat_id or 'new')}/turns"
        body: dict[str, str] = {"text": text}
        if personality:
            body["personality"] = personality
        if not files:
            return await self._json("POST", where, params=_MARKDOWN, json=body)
        form = aiohttp.FormData(body)
        for path in files:
            form.add_field("files", await asyncio.to_thread(_bytes_of, path), filename=path.name)
        return await self._json("POST", where, params=_MARKDOWN, data=form, headers=_FORM)

    async def change(self, chat_id: str, **changes: str) -> Json:
        return await self._json("PATCH", f"/page/chats/{_part(chat_id)}", json=changes)

    async def forget(self, chat_id: str) -> None:
        await self._json("DELETE", f"/page/chats/{_part(chat_id)}")

    async def act(self, turn_id: str, action: str) -> None:
        """``stop``, ``retry`` or ``continue``."""
        await self._json("POST", f"/page/turns/{_part(turn_id)}/{action}", json={})

    async def edit(self, turn_id: str, text: str) -> str:
        """The id of the chat that is answered in."""
        where = f"/page/turns/{_part(turn_id)}/question"
        return str((await self._json("PUT", where, json={"text": text}))["chat"])

    async def export(self, chat_id: str, form: str) -> tuple[str, bytes]:
        """The name of the file, and what is in it."""
        where = f"/page/chats/{_part(chat_id)}/export"
        async with self._request("GET", where, params={"format": form}) as response:
            data = await response.read()
            _check(response, data)
        _, _, name = response.headers.get("Content-Disposition", "").rpartition("''")
        return unquote(name) or "chat", data

    async def watch(self, chat_id: str) -> AsyncIterator[WireEvent]:
        """What changes in the chat, its newest turn first. Ends when the connection does."""
        query = {"chat": chat_id, **_MARKDOWN}
        try:
            async with self._request("GET", "/page/events", params=query) as response:
                if response.status != 200:
                    _check(response, await response.read())
                name = ""
                async for line in response.content:
                    key, _, value = line.decode().rstrip("\n").partition(": ")
                    if key == "event":
                        name = value
                    elif key == "data":
                        yield WireEvent(name, json.loads(value))
        except (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError):
            return
        except aiohttp.ClientError as error:
            raise ParleyGone(f"Parley does not answer: {error}.") from error

    async def _json(self, method: str, path: str, **options: Any) -> Json:
        try:
            async with self._request(method, path, **options) as response:
                data = await response.read()
        except aiohttp.ClientError as error:
            raise ParleyGone(f"Parley does not answer: {error}.") from error
        _check(response, data)
        found: Json = json.loads(data) if data else {}
        return found

    def _request(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, **options: Any
    ) -> Any:
        """The address and the key are new whenever Parley starts."""
        url, key = running_url(self._folder), running_key(self._folder)
        if url is None or key is None:
            raise ParleyGone("Parley does not run (any more).")
        headers = {"Authorization": f"Bearer {key}", **(headers or {})}
        return self._session.request(method, f"{url}{path}", headers=headers, **options)


def _part(text: str) -> str:
    return quote(text, safe="")


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RequestError(f"{path} cannot be read: {error.strerror}.") from None


def _check(response: aiohttp.ClientResponse, data: bytes) -> None:
    if response.status < 400:
        return
    try:
        message = str(json.loads(data)["error"]["message"])
    except (ValueError, LookupError, TypeError):
        message = f"Parley answered with HTTP status {response.status}."
    raise (RequestError if response.status < 500 else ParleyError)(message)

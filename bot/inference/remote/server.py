"""RemoteServer: one server, its models and health, and its streamed replies."""

from __future__ import annotations

import asyncio
import json
import logging
from codecs import BOM_UTF8
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from itertools import islice
from types import MappingProxyType
from typing import Any

import aiohttp
from yarl import URL

from bot.generation import RawPrompt
from bot.inference.remote.chunks import DONE, StreamChunk, path_of, read_chunk, read_whole
from bot.inference.remote.dialects import (
    DIALECTS,
    PLAIN,
    Dialect,
    Tokenizer,
    dialect_of_refusal,
    question_for_nobody,
    tokens_in,
    window_of_props,
    windows_of,
)
from bot.inference.remote.faults import ErrorBody, Fault, mapped, refusal
from bot.inference.remote.patience import Patience

logger = logging.getLogger(__name__)

MAX_EVENT_BYTES = 1 << 20
"""Bound on one server-sent event; that of a token has some hundred bytes."""

_MAX_ERROR_BYTES = 16 * 1024
_MAX_ANSWER_BYTES = 4 << 20
_MAX_EMBEDDINGS_BYTES = 64 << 20
_NOT_THERE = (404, 405, 501)
_WHOLE = "application/json"
_MAX_SHOWN = 3


class EventParser:
    """Parses server-sent events; ``feed`` yields the data of each complete event.

    A byte order mark before the first event is skipped, and so are events without data.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._mark = BOM_UTF8
        self._data: list[bytes] = []
        self._num_bytes = 0

    def feed(self, received: bytes) -> Iterator[bytes]:
        """Raises ``Fault`` for an event that is too long."""
        *lines, self._rest = (self._rest + received).split(b"\n")
        for line in lines:
            if (data := self._take(line.removesuffix(b"\r"))) is not None:
                yield data
        if len(self._rest) > MAX_EVENT_BYTES:
            raise Fault("malformed")

    def _take(self, line: bytes) -> bytes | None:
        line, self._mark = line.removeprefix(self._mark), b""
        if not line:
            data, self._data, self._num_bytes = self._data, [], 0
            return b"\n".join(data).strip() or None
        if line.startswith(b"data:"):
            self._data.append(line.removeprefix(b"data:").removeprefix(b" "))
            self._num_bytes += len(line)
            if self._num_bytes > MAX_EVENT_BYTES:
                raise Fault("malformed")
        return None


def with_path(url: str) -> str:
    """The address with OpenAI's ``/v1``, unless it has a path of its own."""
    parsed = URL(url)
    return str(parsed.with_path("/v1")) if parsed.path in ("", "/") else url.rstrip("/")


class RemoteServer:
    """A server that decodes ``num_running`` replies; ``problem`` is empty while it is healthy.

    ``is_wrong``: it answers, but a setting is wrong, so only an admin can help.
    ``windows``: its models with their context windows, None where not stated.
    """

    def __init__(self, url: str, session: aiohttp.ClientSession, patience: Patience) -> None:
        self.url = with_path(url)
        self.num_running = 0
        self.problem = "not asked yet"
        self.is_wrong = False
        self.windows: Mapping[str, int | None] = {}
        self.dialect: Dialect | None = None
        self.rests_until = 0.0
        self._num_faults = 0
        self._session = session
        self._patience = patience

    @property
    def is_up(self) -> bool:
        return not self.problem

    @contextmanager
    def busy(self) -> Iterator[None]:
        self.num_running += 1
        try:
            yield
        finally:
            self.num_running -= 1

    def note_success(self) -> None:
        self._num_faults, self.rests_until, self.problem = 0, 0.0, ""

    def note_fault(self, fault: Fault, now: float) -> None:
        """Let it rest, so that it does not become the least loaded server by failing fast."""
        rest = min(self._patience.max_rest, self._patience.rest * 2**self._num_faults)
        wanted = min(fault.retry_after, self._patience.max_retry_after)
        self.rests_until = now + max(rest, wanted)
        self._num_faults += 1
        if fault.kind == "unreachable":
            self.problem = str(fault)

    async def stream(
        self, body: Mapping[str, Any], headers: Mapping[str, str]
    ) -> AsyncGenerator[StreamChunk, None]:
        """Raises ``Fault`` or ``ContextExceeded``; closing the generator stops the reply."""
        with mapped():
            async with asyncio.timeout(self._patience.first_token):
                response = await self._post(body, headers)
            try:
                await self._check(response)
                if response.content_type == _WHOLE:
                    yield await self._whole(response)
                    return
                async for chunk in self._chunks(response):
                    yield chunk
            finally:
                response.close()

    async def _post(
        self, body: Mapping[str, Any], headers: Mapping[str, str] = MappingProxyType({})
    ) -> aiohttp.ClientResponse:
        """Tries again if the kept-alive connection was closed by the server."""
        url = self.url + path_of(body)
        ask = partial(self._session.post, url, json=body, headers=headers, allow_redirects=False)
        try:
            return await ask()
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
            return await ask()

    async def _check(self, response: aiohttp.ClientResponse) -> None:
        if response.status != 200:
            raise await self._refusal(response)
        if response.content_type not in (_WHOLE, "text/event-stream"):
            raise Fault("malformed")

    async def _whole(self, response: aiohttp.ClientResponse) -> StreamChunk:
        async with asyncio.timeout(self._patience.first_token):
            return read_whole(await _at_most(response, _MAX_ANSWER_BYTES))

    async def _refusal(self, response: aiohttp.ClientResponse) -> Exception:
        async with asyncio.timeout(self._patience.probe):
            raw = await _at_most(response, _MAX_ERROR_BYTES)
        error = ErrorBody.read(raw)
        logger.warning("%s answered with status %s", self.url, response.status)
        logger.debug("%s said: %s", self.url, error.message)
        if self.dialect and self.dialect.salts_cache and "cache_salt" in error.message:
            logger.warning("%s cannot divide its cache: it is one for all workspaces", self.url)
            self.dialect = replace(self.dialect, salts_cache=False)
            return Fault("refused", retry="anywhere")
        return refusal(response.status, error, response.headers.get("Retry-After", ""))

    async def _chunks(self, response: aiohttp.ClientResponse) -> AsyncIterator[StreamChunk]:
        """Times out if no event comes; comments that keep the connection open are not events."""
        events, limit, is_complete = _events(response), self._patience.first_token, False
        while (data := await self._next(events, limit, is_complete)) not in (None, DONE):
            chunk = read_chunk(data)
            if chunk.reason:
                limit, is_complete = self._patience.tail, True
            elif chunk.num_characters:
                limit = self._patience.silence
            yield chunk

    async def _next(
        self, events: AsyncIterator[bytes], limit: float, is_complete: bool
    ) -> bytes | None:
        """None at the end. A complete reply whose connection remains open has ended, too."""
        try:
            async with asyncio.timeout(limit):
                return await anext(events, None)
        except TimeoutError:
            if is_complete:
                return None
            raise

    async def why(self, body: Mapping[str, Any], headers: Mapping[str, str]) -> Exception | None:
        """The error of the same request without streaming, which some servers only give then."""
        asked = {**body, "stream": False, "max_tokens": 1}
        asked.pop("stream_options", None)
        with mapped():
            async with (
                asyncio.timeout(self._patience.first_token),
                await self._post(asked, headers) as response,
            ):
                return None if response.status == 200 else await self._refusal(response)

    async def probe(self, model: str | None) -> None:
        """Read its models and, once, find its dialect; sets ``problem`` and raises nothing."""
        try:
            self.windows = await self._models()
            if self.dialect is None:
                self.dialect = await self._find_dialect(model or next(iter(self.windows), ""))
        except Fault as fault:
            self.problem, self.is_wrong = str(fault), fault.kind == "refused"
            return
        self.problem = self._missing(model)
        self.is_wrong = bool(self.problem)
        if self.is_up and self._num_faults:
            self.note_success()

    async def _models(self) -> dict[str, int | None]:
        windows = windows_of(await self._ask("GET", self.url + "/models"))
        if list(windows.values()) == [None]:
            props = await self._ask("GET", self._beside("/props"), is_optional=True)
            return dict.fromkeys(windows, window_of_props(props))
        return windows

    def _missing(self, model: str | None) -> str:
        if model is None and not self.windows:
            return "it does not say which models it has; set PARLEY_ENGINE_MODEL"
        if not self._lists_all:
            return "" if model or len(self.windows) == 1 else _several(self.windows)
        if model and self.windows and model not in self.windows:
            known = ", ".join(self.windows)
            where = "PARLEY_ENGINE_MODEL, or the personality's remote,"
            return f"it has no model {model!r}, but {known}; set {where} to one of them"
        return ""

    @property
    def _lists_all(self) -> bool:
        return self.dialect is None or self.dialect.lists_all

    async def _find_dialect(self, model: str) -> Dialect:
        for dialect in DIALECTS:
            if dialect.tokenizer and await self._tokens(dialect.tokenizer, model, "a") is not None:
                return dialect
        return await self._dialect_without_tokenizer(model)

    async def _dialect_without_tokenizer(self, model: str) -> Dialect:
        try:
            with mapped():
                async with (
                    asyncio.timeout(self._patience.probe),
                    await self._post(question_for_nobody(model)) as response,
                ):
                    if response.status != HTTPStatus.UNPROCESSABLE_ENTITY:
                        return PLAIN
                    refusal = ErrorBody.read(await _at_most(response, _MAX_ERROR_BYTES))
        except Fault:
            return PLAIN
        return dialect_of_refusal(refusal.message)

    async def num_tokens(self, model: str, text: str) -> int | None:
        """None if it cannot count, or not now."""
        if (tokenizer := self._tokenizer) is None:
            return None
        try:
            return await self._tokens(tokenizer, model, text)
        except Fault:
            return None

    async def _tokens(self, tokenizer: Tokenizer, model: str, text: str) -> int | None:
        url, body = self._beside(tokenizer.path), tokenizer.ask(model, text)
        return tokenizer.num_tokens(await self._ask("POST", url, body, is_optional=True))

    async def tokens(self, model: str, prompt: RawPrompt) -> list[int] | None:
        """None if it shows none. Raises ``Fault``."""
        if (tokenizer := self._tokenizer) is None:
            return None
        path, ask = tokenizer.shows
        body = {"model": model, **ask(prompt)}
        return tokens_in(await self._ask("POST", self._beside(path), body, is_optional=True))

    async def text_of(self, model: str, tokens: Sequence[int]) -> str | None:
        """As ``tokens``."""
        if (tokenizer := self._tokenizer) is None:
            return None
        path, key = tokenizer.joins
        body = {"model": model, "tokens": list(tokens)}
        answer = await self._ask("POST", self._beside(path), body, is_optional=True)
        found = answer.get(key) if isinstance(answer, dict) else None
        return found if isinstance(found, str) else None

    async def embed(self, body: Mapping[str, Any]) -> object:
        """The answer to a request for embeddings; None if it makes none.

        Raises ``Fault`` and ``ContextExceeded``.
        """
        asked = partial(self._session.post, json=body, allow_redirects=False)
        with mapped():
            async with (
                asyncio.timeout(self._patience.first_token),
                asked(self.url + "/embeddings") as response,
            ):
                if response.status == 200:
                    return _json(await _at_most(response, _MAX_EMBEDDINGS_BYTES))
                if response.status in _NOT_THERE:
                    return None
                raise await self._refusal(response)

    @property
    def _tokenizer(self) -> Tokenizer | None:
        return self.dialect.tokenizer if self.dialect else None

    def _beside(self, path: str) -> str:
        return self.url.removesuffix("/v1") + path

    async def _ask(
        self,
        method: str,
        url: str,
        body: Mapping[str, Any] | None = None,
        *,
        is_optional: bool = False,
    ) -> object:
        """A small call; None if the server does not support it."""
        with mapped():
            async with (
                asyncio.timeout(self._patience.probe),
                self._session.request(method, url, json=body, allow_redirects=False) as response,
            ):
                if response.status == 200:
                    return _json(await _at_most(response, _MAX_ANSWER_BYTES))
                if is_optional or response.status in _NOT_THERE:
                    return None
                raise refusal(response.status, ErrorBody(""))


def _several(models: Collection[str]) -> str:
    known = ", ".join(islice(models, _MAX_SHOWN))
    return f"it has several models on its disk; set PARLEY_ENGINE_MODEL to one, such as {known}"


async def _events(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    parser = EventParser()
    async for received in response.content.iter_any():
        for data in parser.feed(received):
            yield data


async def _at_most(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    received = b""
    async for data in response.content.iter_any():
        received += data
        if len(received) > max_bytes:
            break
    return received[:max_bytes]


def _json(raw: bytes) -> object:
    try:
        return json.loads(raw)
    except ValueError:
        return None

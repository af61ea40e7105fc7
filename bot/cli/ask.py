"""Questions from the command line: to a running Parley over its HTTP API, or to a model loaded
for them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any, Protocol

import aiohttp

from bot.answer_formats import JsonSchema
from bot.config import Settings
from bot.errors import (
    EngineFailed,
    OverLimit,
    ParleyError,
    RequestError,
    StartError,
    UnsupportedFormat,
)
from bot.generation import (
    CompletionRequest,
    Delta,
    Finished,
    FinishReason,
    GenerationEvent,
    Progress,
    Reasoning,
    Usage,
)
from bot.lock import is_held, running_key, running_url
from bot.personality import PersonalityBook

_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=5.0)
_DATA = b"data:"
_END = b"data: [DONE]"
_SIGNS_OF_LIFE = ("working", "queued ", "loading ")
_BROKE_OFF = "The reply broke off, since the running Parley stopped; please ask again."
_STARTING = "Parley is just starting; ask again in a moment."
_RETRY_SECONDS = 2.0


class ParleyGone(ParleyError):
    """The running Parley does not answer (any more)."""


class Answerer(Protocol):
    """Who answers a command."""

    def ask(self, asked: CompletionRequest) -> AsyncGenerator[GenerationEvent, None]:
        """The reply as it grows; ``Finished`` comes last. Closing early ends it."""
        ...

    async def model_of(self, personality: str) -> str: ...


@asynccontextmanager
async def answerer(
    settings: Settings, personality: str, *, num_at_once: int = 1
) -> AsyncIterator[Answerer]:
    """The Parley that runs on this data folder, else the model of that personality."""
    if is_held(settings.data_dir):
        async with running_parley(settings) as running:
            yield running
        return
    from bot.running.alone import model_alone

    async with model_alone(settings, personality, num_at_once=num_at_once) as model:
        yield model


@asynccontextmanager
async def running_parley(
    settings: Settings, headers: Mapping[str, str] = MappingProxyType({})
) -> AsyncIterator[RunningParley]:
    """The one that holds the data folder. ``headers``: sent with all that is asked."""
    url = await asyncio.to_thread(running_url, settings.data_dir)
    key = await asyncio.to_thread(running_key, settings.data_dir)
    if url is None or key is None:
        raise ParleyError(_STARTING)
    headers = {"Authorization": f"Bearer {key}", **headers}
    async with aiohttp.ClientSession(timeout=_TIMEOUT, headers=headers) as client:
        yield RunningParley(settings, url, client)


class RunningParley:
    """At ``url``, where ``client`` says who asks."""

    def __init__(self, settings: Settings, url: str, client: aiohttp.ClientSession) -> None:
        self._settings = settings
        self._url = url
        self._client = client
        self._default_model = ""

    async def ask(self, asked: CompletionRequest) -> AsyncGenerator[GenerationEvent, None]:
        """Closing early closes the connection, which stops the reply."""
        usage, reason = Usage(), None
        try:
            async with self._client.post(
                f"{self._url}/v1/chat/completions", json=_body(asked)
            ) as response:
                if response.status != 200:
                    raise _refusal(await response.read(), response)
                async for line in response.content:
                    if line.strip() == _END:
                        yield Finished(reason or FinishReason.STOP, usage)
                        return
                    if doing := _doing(line):
                        yield Progress(doing)
                    event = _event(line)
                    for said in _said(event):
                        yield said
                    usage = _usage(event) or usage
                    reason = _reason(event) or reason
        except aiohttp.ClientPayloadError:
            pass
        except aiohttp.ClientError as error:
            raise self._gone(error) from error
        raise ParleyGone(_BROKE_OFF)

    async def model_of(self, personality: str) -> str:
        """The personalities are on this machine, too; the running Parley names its model."""
        folder, default = self._settings.personalities, self._settings.personality
        book = await asyncio.to_thread(PersonalityBook.load, folder, default)
        if own := book.get(personality).model:
            return own
        if not self._default_model:
            try:
                async with self._client.get(f"{self._url}/v1/models") as response:
                    self._default_model = str((await response.json())["data"][0]["id"])
            except aiohttp.ClientError as error:
                raise self._gone(error) from error
        return self._default_model

    def _gone(self, error: Exception) -> ParleyGone:
        return ParleyGone(f"The running Parley at {self._url} does not answer: {error}.")


def _body(asked: CompletionRequest) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": asked.model or asked.personality,
        "messages": [{"role": each.role, "content": each.content} for each in asked.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    body |= {**asked.default_sampling, **asked.sampling}
    if asked.max_tokens:
        body["max_tokens"] = asked.max_tokens
    if asked.is_background:
        body["service_tier"] = "flex"
    if isinstance(asked.answer_format, JsonSchema):
        schema = json.loads(asked.answer_format.schema)
        named = {"name": "answer", "schema": schema}
        body["response_format"] = {"type": "json_schema", "json_schema": named}
    return body


def _refusal(body: bytes, response: aiohttp.ClientResponse) -> ParleyError:
    try:
        error = json.loads(body)["error"]
        message, about = str(error["message"]), error.get("param")
    except (ValueError, LookupError, TypeError):
        return RequestError(f"The running Parley answered with HTTP status {response.status}.")
    if response.status == 429:
        return OverLimit(message, _seconds(response.headers.get("Retry-After", "")))
    if about == "response_format":
        return UnsupportedFormat(message)
    if about == "model":
        return StartError(message)
    return EngineFailed(message) if response.status >= 500 else RequestError(message)


def _seconds(text: str) -> float:
    return float(text) if text.isdecimal() else _RETRY_SECONDS


def _doing(line: bytes) -> str:
    """What a comment tells, but for a place in line and signs of life; mostly nothing."""
    if not line.startswith(b": "):
        return ""
    text = line.decode().removeprefix(": ").strip()
    return "" if text.startswith(_SIGNS_OF_LIFE) else text


def _event(line: bytes) -> Mapping[str, Any]:
    """The object in one line of the event stream; most lines have none."""
    if not line.startswith(_DATA):
        return {}
    event: dict[str, Any] = json.loads(line.removeprefix(_DATA))
    if "error" in event:
        raise EngineFailed(event["error"]["message"])
    return event


def _choice(event: Mapping[str, Any]) -> Mapping[str, Any]:
    choice: Mapping[str, Any] = (event.get("choices") or [{}])[0]
    return choice


def _said(event: Mapping[str, Any]) -> list[GenerationEvent]:
    delta = _choice(event).get("delta", {})
    said: list[GenerationEvent] = []
    if reasoning := delta.get("reasoning_content"):
        said.append(Reasoning(reasoning))
    if text := delta.get("content"):
        said.append(Delta(text))
    return said


def _reason(event: Mapping[str, Any]) -> FinishReason | None:
    reason = _choice(event).get("finish_reason")
    return FinishReason(reason) if reason else None


def _usage(event: Mapping[str, Any]) -> Usage | None:
    if not (usage := event.get("usage")):
        return None
    return Usage(
        usage["prompt_tokens"],
        usage["prompt_tokens_details"]["cached_tokens"],
        usage["completion_tokens"],
        usage["completion_tokens_details"]["reasoning_tokens"],
    )

"""The events of several generations as one stream of OpenAI's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from types import MappingProxyType
from typing import Protocol

from aiohttp import web

from adapters.http.common.answers import (
    NOT_FINISHED,
    GeneratedText,
    finished_of,
    raise_failure,
    said,
)
from adapters.http.common.errors import to_body
from adapters.http.common.sse import batches
from adapters.http.openai.shapes import DONE, comment, event
from bot.adapter_support.event_stream import EventStream
from bot.errors import ParleyError
from bot.generation import FinishReason, GenerationEvent, Progress, Queued, Usage
from bot.ports import Clock, Generation

IDLE_SECONDS = 15.0  # proxies give up on a line that is silent for a minute

_AS_IN_CHATS: Mapping[str, str] = MappingProxyType({})


class Frames(Protocol):
    """How the parts of ``num`` answers are written."""

    num: int

    @property
    def have_ended(self) -> bool: ...
    def delta(self, index: int, said: GeneratedText) -> bytes:
        """More of one answer; empty if there is nothing more."""
        ...

    def end(self, index: int, reason: FinishReason, usage: Usage) -> bytes:
        """The last part of one answer."""
        ...

    def close(self) -> bytes:
        """What follows when all answers have ended."""
        ...


async def streamed(
    request: web.Request,
    generations: Sequence[Generation],
    frames: Frames,
    clock: Clock,
    patience: float,
    names: Mapping[str, str] = _AS_IN_CHATS,
) -> web.StreamResponse:
    """Raises ``ParleyError`` while nothing is sent; ``names`` as in ``to_body``."""
    async with (
        EventStream(request, clock, patience) as stream,
        aclosing(batches(generations, clock, IDLE_SECONDS)) as arriving,
    ):
        try:
            await _relay(arriving, stream, frames)
        except ParleyError as error:
            if not stream.has_begun:
                raise
            await stream.send(event(to_body(error, names)) + DONE)
        return await stream.end()


async def _relay(
    arriving: AsyncIterator[list[tuple[int, GenerationEvent]]],
    stream: EventStream,
    frames: Frames,
) -> None:
    async for batch in arriving:
        answers = [[event for number, event in batch if number == i] for i in range(frames.num)]
        data = b"".join(frames.delta(i, said(events)) for i, events in enumerate(answers))
        if data := data or sign_of_life(batch):
            await stream.send(data)
        for index, events in enumerate(answers):
            if finished := finished_of(events):
                raise_failure(finished)
                await stream.send(frames.end(index, finished.reason, finished.usage))
    if not frames.have_ended:
        raise_failure(NOT_FINISHED)
    await stream.send(frames.close())


def sign_of_life(batch: Sequence[tuple[int, GenerationEvent]]) -> bytes:
    match batch:
        case []:
            return comment("working")
        case [*_, (_, Progress(text))]:
            return comment(text)
        case [*_, (_, Queued(loading=model))] if model:
            return comment(f"loading {model}")
        case [*_, (_, Queued(place))] if place:
            return comment(f"queued {place}")
    return b""

"""A reply as text that grows, and refusals in the shapes of this interface."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import aclosing

from aiohttp import web

from adapters.http.common.answers import NOT_FINISHED, finished_of, raise_failure, said
from adapters.http.common.errors import status_of
from adapters.http.common.sse import batches
from bot.adapter_support.refusals import retry_header
from bot.errors import ParleyError
from bot.generation import Progress
from bot.ports import Clock, Generation

_IDLE_SECONDS = 15.0


async def tell(
    generation: Generation,
    clock: Clock,
    send: Callable[[str], Awaitable[None]],
    *,
    shows_progress: bool = False,
) -> None:
    """Send the text of the reply piece by piece; whoever leaves early ends it.

    ``shows_progress``: what is done before is sent, too, a line each. Raises what kept it from its
    end.
    """
    finished = None
    try:
        async with aclosing(batches([generation], clock, _IDLE_SECONDS)) as arriving:
            async for batch in arriving:
                events = [event for _, event in batch]
                for event in events if shows_progress else ():
                    if isinstance(event, Progress):
                        await send(f"{event.text}…\n")
                if text := said(events).text:
                    await send(text)
                finished = finished_of(events) or finished
    finally:
        generation.cancel()
    raise_failure(finished or NOT_FINISHED)


def text_refusal(error: ParleyError) -> web.Response:
    text, status = f"{error}\n", status_of(error)
    return web.Response(text=text, status=status, headers=retry_header(error))


def json_refusal(error: ParleyError) -> web.Response:
    said, status = {"error": str(error)}, status_of(error)
    return web.json_response(said, status=status, headers=retry_header(error))

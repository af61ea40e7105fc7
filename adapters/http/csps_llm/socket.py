"""The socket: a frame in is a prompt; frames out are pieces of text, and then the end."""

from __future__ import annotations

import asyncio
import re

from aiohttp import WSCloseCode, WSMsgType, web

from adapters.http.common.context import HttpContext, route_of
from adapters.http.common.errors import to_response
from adapters.http.csps_llm.answering import tell
from adapters.http.csps_llm.asking import personality_of, refuse_other_sites, session_of
from adapters.http.csps_llm.markers import MarkedPrompt, is_blank, read_prompt
from bot.adapter_support.patience import WritePatience
from bot.adapter_support.sockets import SOCKETS
from bot.errors import EmptyQuestion, ParleyError, RequestError
from bot.types import SessionQuestion

_MAX_PROMPT = 1 << 20  # characters
_MAX_FRAME = 4 << 20  # bytes; a longer one closes the socket
_MAX_WAITING = 8
_PING_SECONDS = 30.0
_CROWDED = f"At most {_MAX_WAITING} prompts wait on one socket.".encode()
_NO_SOCKET = "This address is a WebSocket; /gpt/ answers plain requests.\n"
_IN_MARK = re.compile(r"(?<=<)(?=END)")


class PromptSocket:
    def __init__(self, context: HttpContext) -> None:
        self._context = context

    async def open(self, request: web.Request) -> web.StreamResponse:
        try:
            refuse_other_sites(request)
            personality = personality_of(request, self._context).name
        except ParleyError as error:
            return to_response(error)
        socket = web.WebSocketResponse(
            heartbeat=_PING_SECONDS, max_msg_size=_MAX_FRAME, compress=False
        )
        if not socket.can_prepare(request):
            return web.Response(status=404, text=_NO_SOCKET)
        await socket.prepare(request)
        request.app[SOCKETS].add(socket)
        async with WritePatience(request, self._context.clock, self._context.patience) as patience:
            await SocketTalk(self._context, request, socket, patience, personality).run()
        return socket


class SocketTalk:
    """One open socket. Its prompts without a key go on in its newest session.

    Its prompts are answered one after the other. Closing it ends the answer under way, and
    nothing of what waits is asked.
    """

    def __init__(
        self,
        context: HttpContext,
        request: web.Request,
        socket: web.WebSocketResponse,
        patience: WritePatience,
        personality: str,
    ) -> None:
        self._context = context
        self._request = request
        self._socket = socket
        self._patience = patience
        self._personality = personality
        self._session = session_of(request, personality, None)
        self._end = _plain if context.socket_end == "plain" else _with_key
        self._has_said = False
        self._waiting: asyncio.Queue[str | bytes] = asyncio.Queue(_MAX_WAITING)

    async def run(self) -> None:
        """Until the socket is closed, by whichever side."""
        tasks = asyncio.create_task(self._read()), asyncio.create_task(self._answer_all())
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        if self._waiting.full():
            await self._socket.close(code=WSCloseCode.TRY_AGAIN_LATER, message=_CROWDED)
        for task in tasks:
            if not task.cancelled():
                task.result()

    async def _read(self) -> None:
        """Returns when the socket is closed, or too much waits."""
        async for message in self._socket:
            if self._waiting.full():
                return
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                self._waiting.put_nowait(message.data)

    async def _answer_all(self) -> None:
        try:
            while True:
                await self._answer(await self._waiting.get())
        except ConnectionError:
            return  # the client has gone, or reads nothing

    async def _answer(self, frame: str | bytes) -> None:
        self._has_said = False
        try:
            await self._respond(read_prompt(_checked(frame)))
        except ParleyError as error:
            await self._say(f"\n\n{error}" if self._has_said else str(error))
        await self._send(self._end(self._session.key))

    async def _respond(self, prompt: MarkedPrompt) -> None:
        if prompt.session is not None:
            self._session = session_of(self._request, self._personality, prompt.session)
        if is_blank(prompt.text):
            raise EmptyQuestion("There is no question in this.")
        asked = SessionQuestion(
            session=self._session,
            text=prompt.text,
            route=route_of(self._request),
            sites=prompt.sites,
            needs_pages=prompt.needs_page,
        )
        generation = await self._context.conversations.converse(asked)
        await tell(generation, self._context.clock, self._say, shows_progress=True)

    async def _say(self, text: str) -> None:
        """No frame of text holds the mark of the end, whatever the model writes."""
        self._has_said = True
        for piece in _IN_MARK.split(text):
            await self._send(piece)

    async def _send(self, frame: str) -> None:
        with self._patience.writing():
            await self._socket.send_str(frame)


def _checked(frame: str | bytes) -> str:
    if isinstance(frame, bytes):
        raise RequestError("A prompt is a frame of text, not of bytes.")
    if len(frame) > _MAX_PROMPT:
        raise RequestError(f"A prompt has at most {_MAX_PROMPT:,} characters.")
    return frame


def _with_key(key: str) -> str:
    return f"<END {key}>"


def _plain(key: str) -> str:
    return "<END>"

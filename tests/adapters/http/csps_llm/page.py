"""A page in the manner of csps-llm's: it knows an end only by ``<END `` with a key, and sends the
key back before its next prompt.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import aiohttp

_END = "<END "


@dataclass(frozen=True)
class Shown:
    """A reply as the page shows it: the texts of its frames, and the key of its end."""

    frames: tuple[str, ...]
    key: str

    @property
    def text(self) -> str:
        return "".join(self.frames)


class Page:
    """``headers``: what the browser, or the proxy before Parley, sends with the request."""

    def __init__(
        self, url: str, personality: str = "assistant", headers: dict[str, str] | None = None
    ) -> None:
        self._address = f"{url}/gpt-socket/{personality}"
        self._client = aiohttp.ClientSession(headers=headers)
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self.key: str | None = None

    async def __aenter__(self) -> Self:
        try:
            await self.open()
        except aiohttp.ClientError:
            await self._client.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.socket.close()
        await self._client.close()

    @property
    def socket(self) -> aiohttp.ClientWebSocketResponse:
        assert self._socket
        return self._socket

    @property
    def transport(self) -> asyncio.Transport:
        """What is below, to tear it or to let it get stuck."""
        connection = self.socket._response.connection
        assert connection
        assert isinstance(connection.transport, asyncio.Transport)
        return connection.transport

    async def open(self) -> None:
        self._socket = await self._client.ws_connect(self._address)

    async def ask(self, prompt: str) -> Shown:
        """In the session of the last reply, if there was one."""
        marked = f"|SESSION|{self.key}|/SESSION|{prompt}" if self.key else prompt
        await self.send(marked)
        return await self.reply()

    async def send(self, frame: str) -> None:
        await self.socket.send_str(frame)

    async def reply(self) -> Shown:
        frames: list[str] = []
        while not (frame := await self.frame()).startswith(_END):
            frames.append(frame)
        self.key = frame.removeprefix(_END).removesuffix(">")
        return Shown(tuple(frames), self.key)

    async def frame(self) -> str:
        frame: str = await self.socket.receive_str(timeout=20)
        return frame

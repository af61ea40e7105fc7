"""Teams' own streaming of one reply, in personal chats, and its end as a message that is edited.

Teams' rules: the text only ever grows, one request a second, two minutes in all. A text that
changed, an old stream and a refusal end the stream with the text it shows; from then on the
message is edited as any other.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from math import inf

from adapters.teams.activities import messages
from bot.adapter_support.payloads import Json
from bot.errors import MessageGone, PlatformError, PlatformRefused, ReplyStopped, Unavailable
from bot.markdown.drawing import FENCE
from bot.ports import Clock
from bot.types import Rendered

logger = logging.getLogger(__name__)

INTERVAL = 1.05
"""Seconds between requests of one stream; Teams accepts one a second."""

MAX_AGE = 105.0
"""Seconds after which a stream becomes an ordinary message; Teams ends it after 120."""

_WAITING = "…"
_FRAGILE = re.compile(
    r"[^\0-\u0dff]?[\\*_`\[\]~|&<>#!$]|[^\0-\u0dff]\Z|(?<![a-zA-Z0-9])(?:h|ht|htt|https?(?::\S*)?)\Z"
)
_ONLY_MARKS = re.compile(r"\s*(?:(?:[-*]|\d+\.?)\s*)*─*")
_FENCES = re.compile(rf"^[ >]*(?:(?:[-*]|\d+\.) +)*{FENCE}(?!`)", re.MULTILINE)
_FORMULA = re.compile(r"^(?:\\\[|\$\$) *$", re.MULTILINE)
_TABLE = re.compile(rf"{FENCE}\n.*\n[ >]*-+(?:\+-+)*(?:\n|\Z)")

Send = Callable[[Json], Awaitable[str]]
Update = Callable[[str, Json], Awaitable[None]]


class StreamRefused(PlatformRefused):
    """Teams accepts no more of this stream; ``reason`` is its sentence."""

    def __init__(self, method: str, code: str, reason: str) -> None:
        super().__init__(method, code)
        self.reason = reason


def settled(rendered: str) -> str:
    """The beginning that more Markdown is not likely to change, for a stream that only grows.

    Emphasis, a link or a table that begins on the last line and has not ended is held back, and
    so are the end of a code block, for more code may follow, a table drawn as code, and a letter
    that becomes an entity if a mark follows.
    """
    if formula := _FORMULA.search(rendered):
        rendered = rendered[: formula.start()].rstrip()
    head, newline, last = rendered.rpartition("\n")
    if last.lstrip(" >") == FENCE and newline:
        block = head.rindex(FENCE) if FENCE in head else len(head)
        return head[:block].rstrip(" >\n") if _TABLE.match(head, block) else head
    while newline and _may_be_table(head, last):
        head, newline, last = head.rpartition("\n")
    if len(_FENCES.findall(head)) % 2:
        return f"{head}{newline}{last}"
    fragile = _FRAGILE.search(last)
    stable = last[: fragile.start()] if fragile else last
    if _ONLY_MARKS.fullmatch(stable):
        stable = ""
    return f"{head}{newline}{stable}".rstrip()


def _may_be_table(head: str, last: str) -> bool:
    """A row; or what may become the line below the first one."""
    above = head.rstrip("\n").rpartition("\n")[2]
    return "|" in last or ("|" in above and not last.strip("\\-─: *"))


class ReplyStream:
    """Begun by ``open``; every method raises ``PlatformError``, ``grow`` also ``ReplyStopped``.

    Calls are made one after the other. ``is_over``: Teams takes no more of the stream.
    """

    def __init__(self, send: Send, update: Update, clock: Clock) -> None:
        self._send = send
        self._update = update
        self._clock = clock
        self._lock = asyncio.Lock()
        self._sequence = 0
        self._free_at = -inf
        self._shown = ""
        self._line = ""
        self.is_over = False
        self._expiry: asyncio.Task[None] | None = None
        self.id = ""

    async def open(self, text: Rendered, *, is_text: bool) -> str:
        """Raises ``StreamRefused`` where Teams accepts no stream."""
        async with self._lock:
            stable = settled(text) if is_text else ""
            self._line = _WAITING if is_text else text
            self.id = await self._stream(stable or self._line, is_text=bool(stable))
            if not self.id:
                raise Unavailable("Teams names no stream.", ambiguous=True)
            self._expiry = asyncio.create_task(self._expire())
        return self.id

    async def grow(self, text: Rendered, *, is_text: bool) -> None:
        async with self._lock:
            if self.is_over:
                await self._edit(text)
            elif not is_text:
                self._line = text
                await self._try_to_stream(text, text, is_text=False)
            elif (stable := settled(text)).startswith(self._shown):
                if stable != self._shown:
                    await self._try_to_stream(stable, text, is_text=True)
            elif not text.startswith(self._shown):
                await self._hand_over()
                await self._edit(text)

    async def finish(self, body: Json) -> None:
        """End the stream; ``body`` is the message that the reply becomes."""
        async with self._lock:
            self._stop_expiry()
            if not self.is_over and not body["text"].startswith(self._shown):
                await self._hand_over()
            if not self.is_over and await self._end(body):
                return
            await self._update(self.id, body)

    async def close(self) -> None:
        """End the stream as an ordinary message, which a later process can edit."""
        self._stop_expiry()
        await self._try_to_hand_over()

    async def _try_to_stream(self, stable: str, text: Rendered, *, is_text: bool) -> None:
        try:
            await self._stream(stable, is_text=is_text)
        except StreamRefused as error:
            self.is_over = True
            if "cancel" in error.reason.lower():
                raise ReplyStopped("The person stopped the reply in Teams.") from None
            await self._edit(text)

    async def _stream(self, text: str, *, is_text: bool) -> str:
        """A failed call counts as shown: it may have been, and text must never shrink."""
        self._sequence += 1
        body = messages.streaming(text, stream_id=self.id, sequence=self._sequence, is_text=is_text)
        try:
            stream_id = await self._request(body)
        except Unavailable:
            self._shown = text if is_text else self._shown
            raise
        self._shown = text if is_text else self._shown
        return stream_id

    async def _hand_over(self) -> None:
        """End the stream with the text it shows; the message stays and can be edited."""
        await self._end(messages.message(self._shown or self._line))

    async def _end(self, body: Json) -> bool:
        """End the stream; False if ``body`` may not have become the message.

        An end that may have happened is not repeated: an edit of the message is as good.
        """
        try:
            await self._request(messages.stream_end(body, stream_id=self.id))
        except StreamRefused:
            self.is_over = True
        except Unavailable as error:
            if not error.ambiguous:
                raise
            self.is_over = True
        else:
            self.is_over = True
            return True
        return False

    async def _edit(self, text: Rendered) -> None:
        """A stream that was refused before its first text has left no message to edit."""
        try:
            await self._update(self.id, messages.growing(text))
        except MessageGone:
            if self._shown:
                raise

    async def _request(self, body: Json) -> str:
        """The pause follows the answer: Teams may count a request at any moment until then."""
        pause = self._free_at - self._clock.monotonic()
        if pause > 0:
            await self._clock.sleep(pause)
        try:
            return await self._send(body)
        finally:
            self._free_at = self._clock.monotonic() + INTERVAL

    async def _expire(self) -> None:
        await self._clock.sleep(MAX_AGE)
        await self._try_to_hand_over()

    async def _try_to_hand_over(self) -> None:
        async with self._lock:
            try:
                if not self.is_over:
                    await self._hand_over()
            except PlatformError as error:
                logger.info("a stream could not be ended before Teams does: %s", error)

    def _stop_expiry(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()

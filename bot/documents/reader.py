"""Asks the child process for the text of a document, within bounds of time and number."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress
from pathlib import Path

from bot.documents.document import Document, DocumentKind
from bot.documents.unread import WhyUnread

_CHILD = Path(__file__).with_name("child.py")
_SECONDS = 15.0
_AT_ONCE = 2


class Unreadable(Exception):
    """``why`` None: the document is not of the kind that it was taken for."""

    def __init__(self, why: WhyUnread | None = None) -> None:
        super().__init__(why)
        self.why = why


class DocumentReader:
    """Reads some documents at once; others wait. ``seconds``: the most that one may take."""

    def __init__(self, seconds: float = _SECONDS) -> None:
        self._seconds = seconds
        self._room = asyncio.Semaphore(_AT_ONCE)

    async def read(
        self, data: bytes, kind: DocumentKind, max_characters: int, address: str = ""
    ) -> Document:
        """``address``: of a page or feed, whose links are relative to it.

        Raises ``Unreadable``. A process that is killed had too much to read.
        """
        async with self._room:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", str(_CHILD), kind.value, str(max_characters)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env={},
            )
            line = "".join(address.split()).encode("utf-8", "replace")
            return await self._outcome(process, line + b"\n" + data)

    async def _outcome(self, process: asyncio.subprocess.Process, data: bytes) -> Document:
        try:
            async with asyncio.timeout(self._seconds):
                read, _ = await process.communicate(data)
        except TimeoutError:
            raise Unreadable(WhyUnread.TOO_MUCH) from None
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        code = process.returncode or 0
        if code < 0:
            raise Unreadable(WhyUnread.TOO_MUCH)
        if code:
            raise Unreadable(next((e for e in WhyUnread if e == code), None))
        return Document(**json.loads(read))

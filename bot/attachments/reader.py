"""Runs ``child.py``: one process per file, few at once, ended when it takes too long."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from pathlib import Path

from bot.attachments.kinds import Kind

_CHILD = Path(__file__).with_name("child.py")
_SECONDS = 15.0
_AT_ONCE = 2


class Unreadable(Exception):
    """The file is not what its name says, or took too much to read."""


class FileReader:
    def __init__(self, seconds: float = _SECONDS) -> None:
        self._seconds = seconds
        self._room = asyncio.Semaphore(_AT_ONCE)

    async def read(self, data: bytes, kind: Kind, max_characters: int) -> str:
        """Raises ``Unreadable``."""
        async with self._room:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", str(_CHILD), kind.value, str(max_characters)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env={},
            )
            return await self._outcome(process, data)

    async def _outcome(self, process: asyncio.subprocess.Process, data: bytes) -> str:
        try:
            async with asyncio.timeout(self._seconds):
                text, _ = await process.communicate(data)
        except TimeoutError:
            raise Unreadable from None
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if process.returncode != 0:
            raise Unreadable
        return text.decode("utf-8", "replace")

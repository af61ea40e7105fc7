"""A terminal as a person has one: keys go in, and what stands on the screen comes out."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tests.lacking import skip_for_lack
from tests.scenarios.parley import CACHE, ROOT
from tests.scenarios.polling import eventually

PARLEY = (sys.executable, "-m", "bot")
_TOLD = ("sh", "-c", 'trap : INT; "$@"; echo $? > "$0"')
"""tmux does not always notice that a command has ended, so a file says it."""
_SCROLLBACK = "-5000"


class Terminal:
    """One command in a window of its own; ``folder`` is where it runs."""

    def __init__(self, socket: Path, folder: Path) -> None:
        self._socket = socket
        self._folder = folder
        self._ended = socket.with_suffix(".ended")

    async def begin(
        self, *command: str, width: int = 80, height: int = 24, environ: Mapping[str, str]
    ) -> None:
        size = ("-x", str(width), "-y", str(height), "-c", str(self._folder))
        settings = (f"{name}={value}" for name, value in environ.items())
        remain = ("set", "-g", "remain-on-exit", "on")
        await self._tmux(
            *remain,
            ";",
            "new-session",
            "-d",
            *size,
            "env",
            *settings,
            *_TOLD,
            str(self._ended),
            *command,
        )

    async def type(self, text: str) -> None:
        await self._tmux("send-keys", "-l", text)

    async def press(self, *keys: str) -> None:
        """As tmux names them: ``Enter``, ``C-c``, ``M-Enter``, ``Up``."""
        await self._tmux("send-keys", *keys)

    async def enter(self, text: str) -> None:
        await self.type(text)
        await self.press("Enter")

    async def paste(self, text: str) -> None:
        await self._tmux("set-buffer", text)
        await self._tmux("paste-buffer", "-p")

    async def screen(self) -> str:
        return await self._tmux("capture-pane", "-p")

    async def everything(self) -> str:
        """What has scrolled away, too; lines that were too long are one."""
        return await self._tmux("capture-pane", "-p", "-J", "-S", _SCROLLBACK)

    async def sees(self, *texts: str) -> str:
        """The screen, once all of them stand on it."""
        seen = ""

        async def all_of_them() -> bool:
            nonlocal seen
            seen = await self.screen()
            return all(text in seen for text in texts)

        try:
            await eventually(all_of_them)
        except AssertionError:
            raise AssertionError(f"{texts} is not on the screen:\n{seen}") from None
        return seen

    async def ends(self) -> int:
        """The exit code, once the command has ended."""

        def code() -> str:
            return self._ended.read_text().strip() if self._ended.exists() else ""

        try:
            return int(await eventually(code))
        except AssertionError:
            raise AssertionError(f"it goes on:\n{await self.screen()}") from None

    async def close(self) -> None:
        await self._tmux("kill-server")

    async def _tmux(self, *arguments: str) -> str:
        process = await asyncio.create_subprocess_exec(
            *("tmux", "-u", "-S", str(self._socket), "-f", os.devnull, *arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        assert not err or "no server" in err.decode() or not process.returncode, err
        return out.decode()


@asynccontextmanager
async def terminal(
    folder: Path,
    *arguments: str,
    width: int = 80,
    height: int = 24,
    environ: Mapping[str, str] | None = None,
    program: Sequence[str] = PARLEY,
) -> AsyncIterator[Terminal]:
    """A program in a window, without settings but those of ``environ``."""
    if shutil.which("tmux") is None:
        skip_for_lack("tmux is not installed, so nothing can be typed into a terminal.")
    window = Terminal(folder / f"tmux-{secrets.token_hex(4)}", folder)
    settings = {"PYTHONPATH": str(ROOT), "HOME": str(folder), "XDG_CACHE_HOME": CACHE}
    settings |= {**(environ or {}), "PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8"}
    await window.begin(*program, *arguments, width=width, height=height, environ=settings)
    try:
        yield window
    finally:
        await window.close()

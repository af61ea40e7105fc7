"""Servers under test, each a process of its own, ready when they answer and gone at the end."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from bot.config import Settings
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
READY_SECONDS = 120.0
"""At its first start Parley measures what is the fastest."""
STOP_SECONDS = 20.0
_POLL_SECONDS = 0.1
_NUM_SHOWN = 2000

_NUM_THREADS = Settings().num_threads
"""Read here, since settings look at the disk, which no event loop waits for."""
_CACHE = os.environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
"""What is the fastest is measured once, and all benchmarks run with that."""
_KEPT = ("PARLEY_ATTENTION", "PARLEY_KV_LAYOUT", "PARLEY_UBATCH")
"""Settings of whoever runs a benchmark that count in it, too."""
COMPARABLE = {"PARLEY_OPTIMIZE": "off"}
"""What Parley is started with so that it computes what its peers do."""


@dataclass(frozen=True, slots=True)
class Server:
    """``ready_path`` answers 200 once it serves; ``folder`` is where it runs and logs."""

    command: Sequence[str]
    folder: Path
    url: str
    ready_path: str
    environ: Mapping[str, str]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """Yields the URL; ends the process with SIGTERM."""
        async with self.started():
            yield self.url

    def told(self, label: str) -> str:
        """What it printed behind this label as it started; empty if nothing."""
        found = re.search(rf"^ +{label} +(.*)$", _text(self._log), re.MULTILINE)
        return found[1] if found else ""

    @asynccontextmanager
    async def started(self) -> AsyncIterator[int]:
        """As ``running``, but yields the process id."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *self.command,
                cwd=self.folder,
                env={"PATH": os.environ["PATH"], "HOME": str(self.folder), **self.environ},
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
            )
        try:
            await self._until_ready(process)
            yield process.pid
        finally:
            await _end(process)

    @property
    def _log(self) -> Path:
        return self.folder / "server.log"

    async def _until_ready(self, process: asyncio.subprocess.Process) -> None:
        async with asyncio.timeout(READY_SECONDS), aiohttp.ClientSession() as session:
            while not await _says_200(session, self.url + self.ready_path):
                if process.returncode is not None:
                    raise RuntimeError(f"the server ended:\n{_text(self._log)[-_NUM_SHOWN:]}")
                await asyncio.sleep(_POLL_SECONDS)


def parley(
    folder: Path,
    settings: Mapping[str, str],
    *,
    program: Sequence[str] = ("tests.benchmarks.unguarded", "run"),
) -> Server:
    """``python -m bot run`` with the default settings and ``settings``, on a port of its own.

    Its loop guard is off, unless ``program`` says otherwise. It runs in ``folder``, so that
    nobody's ``parley.toml`` counts, with as many CPU threads as its peers.
    """
    port = free_port()
    environ = {
        "PYTHONPATH": str(ROOT),
        "PARLEY_DATA_DIR": str(folder / "data"),
        "PARLEY_PORT": str(port),
        "PARLEY_CPU_THREADS": str(_NUM_THREADS),
        "XDG_CACHE_HOME": _CACHE,
        **{name: os.environ[name] for name in _KEPT if name in os.environ},
        **COMPARABLE,
        **settings,
    }
    command = (sys.executable, "-m", *program)
    return Server(command, folder, f"http://127.0.0.1:{port}", "/readyz", environ)


def _text(log: Path) -> str:
    return log.read_text(errors="replace")


async def _says_200(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()

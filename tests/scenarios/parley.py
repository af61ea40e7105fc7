"""Parley as its own process, as an operator starts it: to be asked, killed and started again."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from bot.lock import running_key

ROOT = Path(__file__).parents[2]
CACHE = os.environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
"""Models that were tried once, by whatever test, are not tried again."""

SIZE: Mapping[str, str] = {
    "PARLEY_CPU_THREADS": "1",  # two that wait for each other crawl on a busy machine
    "PARLEY_RUNNING": "8",
    "PARLEY_KV_TOKENS": "8192",
    "PARLEY_ATTENTION": "plain",  # what is set is not measured, and the same in every run
    "PARLEY_KV_LAYOUT": "streams",
    "PARLEY_UBATCH": "512",
}
"""Of one size wherever it does not matter, since each is tried for some seconds."""

READY_SECONDS = 60.0
POLL_SECONDS = 0.05


class Parley:
    """``python -m bot run`` with settings of its own; ``output`` is what the terminal showed.

    ``own_key`` is the header that its commands on this machine send.
    """

    def __init__(
        self, folder: Path, port: int, settings: Mapping[str, str], module: str = "bot"
    ) -> None:
        self._module = module
        self.url = f"http://127.0.0.1:{port}"
        self.output = ""
        self.own_key: Mapping[str, str] = {}
        self._settings = {
            "PATH": os.environ["PATH"],
            "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "passive"),
            "HOME": str(folder),
            "XDG_CACHE_HOME": CACHE,
            "PARLEY_DATA_DIR": str(folder / "data"),
            "PARLEY_PORT": str(port),
            **SIZE,
            "PARLEY_OPTIMIZE": "off",  # a first start would make a copy each time
            **settings,
        }
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None

    @property
    def database(self) -> Path:
        return Path(self._settings["PARLEY_DATA_DIR"]) / "parley.db"

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    async def start(self, **settings: str) -> None:
        """Returns once ``/readyz`` says yes; ``settings`` are changed for good."""
        self._settings.update(settings)
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", self._module, "run"),
            cwd=ROOT,
            env=self._settings,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        self._reading = asyncio.create_task(self._read(self._process))
        async with asyncio.timeout(READY_SECONDS), aiohttp.ClientSession() as session:
            while not await self._is_ready(session):
                assert self._process.returncode is None, self.output
                await asyncio.sleep(POLL_SECONDS)
        key = await asyncio.to_thread(running_key, self.database.parent)
        self.own_key = {"Authorization": f"Bearer {key}"}

    async def kill(self) -> None:
        """``kill -9``: nothing of it gets a chance to tidy up."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> int:
        """SIGTERM; the exit code."""
        return await self._end(signal.SIGTERM)

    async def ended(self) -> int:
        """Waits until it ends by itself; the exit code."""
        return await self._end(None)

    async def _end(self, number: signal.Signals | None) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        if number and process.returncode is None:
            process.send_signal(number)
        code = await process.wait()
        if self._reading:
            await self._reading
        return code

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout
        async for line in process.stdout:
            self.output += line.decode()

    async def _is_ready(self, session: aiohttp.ClientSession) -> bool:
        try:
            async with session.get(f"{self.url}/readyz") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False


@asynccontextmanager
async def running_parley(
    folder: Path, port: int, settings: Mapping[str, str], module: str = "bot"
) -> AsyncIterator[Parley]:
    parley = Parley(folder, port, settings, module)
    try:
        await parley.start()
        yield parley
    finally:
        await parley.kill()

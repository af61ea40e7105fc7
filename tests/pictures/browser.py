"""Debian's Chromium without a window, driven by its own DevTools protocol."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp

CHROMIUM = "/usr/bin/chromium"
START_SECONDS = 60.0
CALL_SECONDS = 10.0
POLL_SECONDS = 0.03

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Box:
    """A part of the page, in CSS pixels."""

    x: float
    y: float
    width: float
    height: float


class BrowserPage:
    """One page, ``scale`` dots a CSS pixel."""

    def __init__(self, line: aiohttp.ClientWebSocketResponse, scale: float) -> None:
        self._line = line
        self._scale = scale
        self._ids = count(1)

    async def open(self, url: str, width: int, height: int) -> None:
        await self._call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=self._scale,
            mobile=False,
        )
        await self._call("Page.navigate", url=url)
        await self.until("document.readyState === 'complete'")

    async def evaluate(self, script: str) -> Any:
        answer = await self._call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    async def until(self, script: str) -> None:
        """Wait until ``script`` is true in the page."""
        async with asyncio.timeout(START_SECONDS):
            while not await self.evaluate(f"!!({script})"):  # noqa: ASYNC110 - another process
                await asyncio.sleep(POLL_SECONDS)

    async def box(self, selector: str) -> Box:
        found = await self.evaluate(
            f"JSON.stringify(document.querySelector({selector!r}).getBoundingClientRect())"
        )
        return Box(**{key: json.loads(found)[key] for key in ("x", "y", "width", "height")})

    async def shot(self, box: Box) -> bytes:
        """That part of the page as PNG."""
        clip = {"x": box.x, "y": box.y, "width": box.width, "height": box.height, "scale": 1}
        answer = await self._call("Page.captureScreenshot", format="png", clip=clip)
        return base64.b64decode(answer["data"])

    async def _call(self, method: str, **params: Any) -> Json:
        key = next(self._ids)
        await self._line.send_json({"id": key, "method": method, "params": params})
        async with asyncio.timeout(CALL_SECONDS):
            while (answer := await self._line.receive_json()).get("id") != key:
                pass  # an event that nobody asked for
        assert "result" in answer, answer
        result: Json = answer["result"]
        return result


@asynccontextmanager
async def browser_page(scale: float) -> AsyncIterator[BrowserPage]:
    """A browser of its own for as long as the block runs."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = await asyncio.create_subprocess_exec(
            CHROMIUM,
            *("--headless=new", "--no-sandbox", "--hide-scrollbars", "--no-first-run"),
            *("--disable-background-networking", "--remote-debugging-port=0"),
            f"--user-data-dir={profile}",
            "about:blank",
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            address = await _announced_address(Path(profile) / "DevToolsActivePort")
            async with aiohttp.ClientSession() as session:
                url = await _page_url(session, address)
                async with session.ws_connect(url, max_msg_size=0) as line:
                    yield BrowserPage(line, scale)
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
            await process.wait()


async def _announced_address(file: Path) -> str:
    """Chromium writes the port it was given as the first line of this file."""
    async with asyncio.timeout(START_SECONDS):
        while not (found := re.match(r"(\d+)\n", _text(file))):  # noqa: ASYNC110 - another process
            await asyncio.sleep(POLL_SECONDS)
    return f"http://127.0.0.1:{found[1]}"


def _text(file: Path) -> str:
    return file.read_text() if file.exists() else ""


async def _page_url(session: aiohttp.ClientSession, address: str) -> str:
    async with session.get(f"{address}/json/list") as answer:
        targets: list[Json] = await answer.json(content_type=None)
    url: str = next(one["webSocketDebuggerUrl"] for one in targets if one["type"] == "page")
    return url

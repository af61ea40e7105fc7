"""Debian's Chromium without a window, driven by Playwright."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright

from tests.lacking import skip_for_lack

CHROMIUM = Path("/usr/bin/chromium")
_ARGUMENTS = ("--no-sandbox", "--disable-background-networking")


def require_chromium() -> None:
    """For tests and fixtures."""
    if not CHROMIUM.exists():
        skip_for_lack("Debian's package chromium is needed to look at a page.")


@asynccontextmanager
async def running_browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        chromium = playwright.chromium
        browser = await chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def browser_page(scale: float = 1) -> AsyncIterator[Page]:
    """A page in a browser of its own, ``scale`` dots a CSS pixel."""
    async with running_browser() as browser:
        yield await browser.new_page(device_scale_factor=scale)

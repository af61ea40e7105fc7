"""One browser and one Parley for all tests here; each visitor is a person of its own."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
)

from tests.browser import require_chromium, running_browser
from tests.page.parley import PageParley, running_page

HERE = Path(__file__).parent
LOOK_SECONDS = 15.0
"""How long something may take until it is seen: these machines are shared."""

Visit = Callable[..., Awaitable[Page]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A browser lives in one event loop."""
    for item in items:
        if HERE in item.path.parents and inspect.iscoroutinefunction(getattr(item, "obj", None)):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest.fixture(scope="session")
def chromium() -> None:
    require_chromium()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(chromium: None) -> AsyncIterator[Browser]:
    async with running_browser() as browser:
        yield browser


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_parley(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PageParley]:
    async with running_page(tmp_path_factory.mktemp("page")) as parley:
        yield parley


@pytest.fixture
def parley(shared_parley: PageParley) -> Iterator[PageParley]:
    yield shared_parley
    shared_parley.end()


@pytest_asyncio.fixture(loop_scope="session")
async def visit(browser: Browser, parley: PageParley) -> AsyncIterator[Visit]:
    """Open the page as somebody new, or once more in the browser ``context``.

    Nothing that the page does may fail in the browser, or be against its policy.
    """
    faults: list[str] = []

    def heard(line: ConsoleMessage) -> None:
        if "Content Security" in line.text:
            faults.append(line.text)

    async with AsyncExitStack() as stack:

        async def open_page(
            path: str = "/", *, context: BrowserContext | None = None, url: str = "", **options: Any
        ) -> Page:
            if context is None:
                context = await browser.new_context(**options)
                stack.push_async_callback(context.close)
                context.set_default_timeout(LOOK_SECONDS * 1000)
            page = await context.new_page()
            page.on("pageerror", lambda error: faults.append(str(error)))
            page.on("console", heard)
            await page.goto((url or parley.url) + path)
            return page

        yield open_page
    assert faults == []

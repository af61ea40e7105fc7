"""The page of the module, in a browser: it polls until the command is completed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Page

from adapters.http.routes import routes
from bot.errors import QueueFull
from bot.generation import Delta, Finished, FinishReason
from bot.metrics import Metrics
from bot.server import Server, ServerSettings
from tests.adapters.http.conftest import MODEL
from tests.browser import browser_page, require_chromium
from tests.fakes.clock import FakeClock
from tests.fakes.conversations import FakeConversations
from tests.fakes.readiness import always

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGE = Path(__file__).parents[4] / "deploy" / "codeproject-ai" / "explore.html"

Show = Callable[[FakeConversations], Awaitable[Page]]


@pytest.fixture(scope="module")
def chromium() -> None:
    require_chromium()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(chromium: None) -> AsyncIterator[Page]:
    async with browser_page() as page:
        yield page


@pytest_asyncio.fixture(loop_scope="module")
async def show(browser: Page) -> AsyncIterator[Show]:
    """The page, from another origin than Parley, which knows that origin."""
    html = PAGE.read_text(encoding="utf-8")

    async def page(request: web.Request) -> web.Response:
        return web.Response(text=html, content_type="text/html")

    elsewhere = web.Application()
    elsewhere.add_routes([web.get("/", page)])
    async with AsyncExitStack() as stack:
        site = await stack.enter_async_context(TestServer(elsewhere))

        async def opened(conversations: FakeConversations) -> Page:
            origin = f"http://127.0.0.1:{site.port}"
            server = Server(
                ServerSettings(port=0, cors_origins=(origin,), drain_seconds=0.2),
                Metrics(),
                always(),
            )
            clock = FakeClock()
            server.mount(routes(conversations, model_names=lambda: (MODEL,), clock=clock))
            await stack.enter_async_context(server)
            await browser.goto(f"{origin}/?server={server.url}")
            return browser

        yield opened


async def click(page: Page, name: str) -> None:
    await page.wait_for_function(f"!document.getElementById('_MID_{name}').disabled")
    await page.evaluate(f"document.getElementById('_MID_{name}').click()")


async def write(page: Page, name: str, text: str) -> None:
    await page.evaluate(f"document.getElementById('_MID_{name}').value = {text!r}")


async def until_shown(page: Page, name: str, text: str) -> None:
    await page.wait_for_function(
        f"document.getElementById('_MID_{name}').textContent.startsWith({text!r})"
    )


async def test_send_shows_the_reply_as_it_grows_until_it_is_completed(show: Show) -> None:
    conversations = FakeConversations(script=())
    page = await show(conversations)
    await write(page, "prompt", "Wer bist du? <b>ü</b>")
    await write(page, "system", "Be kind.")
    await write(page, "tokens", "40")
    await click(page, "send")
    generation = await conversations.begun()
    await until_shown(page, "state", "Writing")
    generation.say(Delta("I am <b>"))
    await until_shown(page, "reply", "I am <b>")
    generation.say(Delta("Parley</b>."), Finished(FinishReason.STOP))
    await until_shown(page, "state", "Done after ")
    await until_shown(page, "reply", "I am <b>Parley</b>.")
    assert await page.evaluate("document.getElementById('_MID_stop').disabled")
    (request,) = conversations.requests
    assert [message.content for message in request.messages] == [
        "Be kind.",
        "Wer bist du? <b>ü</b>",
    ]
    assert (request.max_tokens, request.sampling) == (40, {"temperature": 0.4})


async def test_stop_in_the_middle_keeps_the_text_so_far(show: Show) -> None:
    conversations = FakeConversations(script=(Delta("Once upon"),))
    page = await show(conversations)
    await click(page, "send")
    generation = await conversations.begun()
    await until_shown(page, "reply", "Once upon")
    await click(page, "stop")
    await until_shown(page, "state", "Stopped after ")
    assert generation.cancelled.is_set()
    await until_shown(page, "reply", "Once upon")
    await click(page, "send")
    again = await conversations.begun(2)
    again.say(Finished(FinishReason.LENGTH))
    await until_shown(page, "state", "Done after ")


@pytest.mark.parametrize(
    ("conversations", "said"),
    [
        (FakeConversations(script=(Finished(FinishReason.ERROR),)), "Unable to generate text"),
        (FakeConversations(refusal=QueueFull(3.0)), "Too many questions are waiting"),
    ],
)
async def test_a_failure_is_said_and_one_may_ask_again(
    show: Show, conversations: FakeConversations, said: str
) -> None:
    page = await show(conversations)
    await click(page, "send")
    await until_shown(page, "state", said)
    await page.wait_for_function("!document.getElementById('_MID_send').disabled")


async def test_one_that_the_server_has_forgotten_can_be_given_up(show: Show) -> None:
    page = await show(FakeConversations())
    await page.evaluate("_MID_command = 'gone'; void _MID_follow('gone')")
    await until_shown(page, "state", "No long running command is currently in progress")
    await click(page, "stop")
    await page.wait_for_function("!document.getElementById('_MID_send').disabled")

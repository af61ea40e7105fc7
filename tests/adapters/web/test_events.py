"""What an open page hears, and that it can leave and come back."""

from __future__ import annotations

from tests.adapters.web.conftest import Open, Serve
from tests.fakes.chats import FakeChats
from tests.fakes.clock import FakeClock


async def test_an_answer_grows_before_who_watches_it(
    serve: Serve, browse: Open, chats: FakeChats, clock: FakeClock
) -> None:
    browser = await browse(await serve())
    chat, turn = await browser.ask("What is a parley?")
    page = await browser.watch(chat)
    first = await page.next()
    assert (first.name, first.data["growing"]["stage"]) == ("turn", "queued")
    chats.grow(browser.owner, turn, "A *talk*")
    grown = await page.next()
    assert grown.data["blocks"] == ['<p dir="auto">A <em>talk</em></p>']

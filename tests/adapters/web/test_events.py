"""What an open page hears, and that it can leave and come back."""

from __future__ import annotations

import asyncio
from contextlib import closing
from itertools import cycle
from typing import Any

import pytest
from yarl import URL

from bot.chats import Chats
from bot.errors import StorageError
from tests.adapters.web.browser import SOON, Browser, Event, EventSource
from tests.adapters.web.conftest import Open, Serve
from tests.fakes.chats import FakeChats
from tests.fakes.clock import FakeClock

ONE, TWO, THREE = "The *first* block.", "The second block.", "The third block."


def html(text: str) -> str:
    text = text.replace("*first*", "<em>first</em>")
    return f'<p dir="auto">{text}</p>'


class Scene:
    """A page that shows a chat; it keeps the blocks of the answer that grows in ``shown``."""

    def __init__(self, browser: Browser, chats: FakeChats, clock: FakeClock) -> None:
        self.browser = browser
        self.chats = chats
        self.clock = clock
        self.chat, self.turn = "", ""
        self.shown: list[str] = []
        self.page = EventSource(browser, {})

    async def begin(self, **query: str) -> Event:
        self.chat, self.turn = await self.browser.ask("What is a parley?")
        self.page = await self.browser.watch(self.chat, **query)
        return await self.next()

    async def next(self, source: EventSource | None = None) -> Event:
        """The next event, while time passes."""
        waiting = asyncio.ensure_future((source or self.page).next())
        while not waiting.done():
            await self.clock.advance(0.1)
        return waiting.result()

    async def until(self, name: str, source: EventSource | None = None) -> Event:
        while (event := await self.next(source)).name != name:
            pass
        return event

    async def is_told_nothing(self) -> bool:
        """Until something else happens."""
        chat, _ = await self.chats.ask(self.browser.owner, None, "Something else")
        event = await self.next()
        return event.name == "chat" and event.data["id"] == chat

    def grow(self, *blocks: str, reasoning: str = "") -> None:
        self.chats.grow(self.browser.owner, self.turn, "\n\n".join(blocks), reasoning=reasoning)

    def end(self) -> None:
        self.chats.end(self.browser.owner, self.turn)

    async def grown(self) -> Any:
        """The next event, which must be an update; it is applied as a page does it."""
        event = await self.next()
        assert event.name == "grow", event
        self.shown = [*self.shown[: event.data["from"]], *event.data["blocks"]]
        return event.data

    async def come_back(self) -> Event:
        """What is told first: the list."""
        assert await self.page.connect() == 200
        listed = await self.next()
        assert listed.name == "chats", listed
        return listed


@pytest.fixture
async def scene(serve: Serve, browse: Open, chats: FakeChats, clock: FakeClock) -> Scene:
    return Scene(await browse(await serve()), chats, clock)


async def test_an_answer_grows_by_what_is_new_of_it(scene: Scene) -> None:
    first = await scene.begin()
    assert (first.name, first.data["growing"]["stage"]) == ("turn", "queued")
    scene.grow(ONE)
    grown = await scene.grown()
    assert grown == {
        "turn": scene.turn,
        "stage": "writing",
        "place": None,
        "wait": None,
        "doing": "",
        "model": "smollm2",
        "personality": "assistant",
        "from": 0,
        "blocks": [html(ONE)],
    }
    scene.grow(ONE, "The sec")
    assert (await scene.grown())["from"] == 1
    scene.grow(ONE, TWO, THREE)
    grown = await scene.grown()
    assert (grown["from"], grown["blocks"]) == (1, [html(TWO), html(THREE)])
    assert scene.shown == [html(ONE), html(TWO), html(THREE)]
    scene.end()
    ended = await scene.until("turn")
    assert ended.data["answers"][0]["html"] == scene.shown
    assert ended.data["growing"] is None


async def test_a_page_is_not_told_more_often_than_anybody_reads(scene: Scene) -> None:
    await scene.begin(**{"as": "markdown"})
    scene.grow("a")
    await scene.page.until("grow")
    before = scene.page.num_bytes
    for text in ("ab", "abc", "abcd"):
        scene.grow(text)
    await (await scene.browser.watch(scene.chat)).until("turn")
    await scene.clock.settle()
    assert scene.page.num_bytes == before
    await scene.clock.advance(0.1)
    assert (await scene.page.until("grow")).data["text"] == "b"


async def test_what_came_too_soon_after_another_page_s_update_is_told_a_moment_later(
    scene: Scene,
) -> None:
    await scene.begin()
    scene.grow(ONE)
    await scene.page.until("grow")
    other = await scene.browser.watch(scene.chat)
    await other.next()
    scene.grow(ONE, TWO)
    grown = await scene.next(other)
    while not grown.data["blocks"]:
        grown = await scene.next(other)
    assert grown.data["blocks"] == [html(TWO)]


async def test_where_the_answer_stands_is_told_while_there_is_no_text(scene: Scene) -> None:
    await scene.begin()
    scene.grow(reasoning="I think")
    grown = await scene.grown()
    assert (grown["stage"], grown["blocks"], grown["reasoning"]) == ("thinking", [], "I think")
    scene.grow(reasoning="I think it is")
    assert (await scene.grown())["reasoning"] == "I think it is"
    scene.grow("It is", reasoning="I think it is")
    grown = await scene.grown()
    assert (grown["stage"], "reasoning" in grown) == ("writing", False)


async def test_long_reasoning_is_told_less_often_and_whole_in_the_end(
    scene: Scene,
) -> None:
    await scene.begin()
    long = "thought " * 400
    scene.grow(reasoning=long)
    assert (await scene.grown())["reasoning"] == long
    scene.grow(reasoning=long + "more ")
    scene.grow("It is", reasoning=long + "more and more")
    assert (await scene.grown())["reasoning"] == long + "more and more"


async def test_the_terminal_gets_markdown_by_what_is_appended(scene: Scene) -> None:
    first = await scene.begin(**{"as": "markdown"})
    assert first.data["growing"]["reply"] == ""
    shown = thought = ""
    for text, reasoning in (
        ("", "I"),
        ("", "I think"),
        ("A *ta", "I think"),
        ("A *talk*.", "I think"),
    ):
        scene.grow(text, reasoning=reasoning)
        data = (await scene.until("grow")).data
        shown = shown[: data["at"]] + data["text"]
        if "reasoning" in data:
            thought = thought[: data["reasoning_at"]] + data["reasoning"]
        assert (shown, thought) == (text, reasoning)
    scene.end()
    ended = (await scene.until("turn")).data["answers"][0]
    assert (ended["reply"], ended["reasoning"]) == ("A *talk*.", "I think")


async def test_a_page_that_opens_amid_an_answer_has_it_whole(scene: Scene) -> None:
    await scene.begin()
    scene.grow(ONE, TWO)
    other = await scene.browser.watch(scene.chat)
    first = await scene.next(other)
    assert (first.name, first.data["growing"]["html"]) == ("turn", [html(ONE), html(TWO)])
    scene.grow(ONE, TWO, THREE)
    grown = await scene.until("grow", other)
    assert (grown.data["from"], grown.data["blocks"]) == (2, [html(THREE)])


async def test_an_answer_that_ends_between_reading_and_watching_is_told(scene: Scene) -> None:
    await scene.begin()
    scene.grow(ONE)
    scene.end()
    other = await scene.browser.watch(scene.chat)
    first = await scene.next(other)
    assert (first.name, len(first.data["answers"])) == ("turn", 1)


async def test_all_questions_that_wait_are_told(scene: Scene) -> None:
    await scene.begin()
    _, second = await scene.browser.ask("And then?", scene.chat)
    other = await scene.browser.watch(scene.chat)
    assert [(await scene.next(other)).data["id"] for _ in range(2)] == [scene.turn, second]


async def test_who_comes_back_amid_an_answer_gets_what_is_missing(scene: Scene) -> None:
    await scene.begin()
    scene.grow(ONE, TWO)
    await scene.grown()
    scene.page.cut()
    scene.grow(ONE, TWO, THREE)
    listed = await scene.come_back()
    assert [each["id"] for each in listed.data["chats"]] == [scene.chat]
    grown = await scene.grown()
    assert (grown["from"], grown["blocks"]) == (1, [html(TWO), html(THREE)])
    assert scene.shown == [html(ONE), html(TWO), html(THREE)]
    scene.grow(ONE, TWO, THREE, "More")
    assert (await scene.grown())["from"] == 3


async def test_the_terminal_that_comes_back_gets_what_is_missing(scene: Scene) -> None:
    await scene.begin(**{"as": "markdown"})
    scene.grow("A parley is ")
    await scene.until("grow")
    scene.page.cut()
    scene.grow("A parley is a talk.")
    await scene.come_back()
    data = (await scene.next()).data
    assert (data["at"], data["text"]) == (12, "a talk.")


async def test_who_comes_back_after_the_end_gets_the_whole_answer(scene: Scene) -> None:
    await scene.begin()
    scene.grow(ONE)
    await scene.grown()
    scene.page.cut()
    scene.grow(ONE, TWO)
    scene.end()
    await scene.come_back()
    ended = await scene.next()
    assert (ended.name, ended.data["growing"]) == ("turn", None)
    assert ended.data["answers"][0]["html"] == [html(ONE), html(TWO)]


async def test_who_missed_nothing_is_told_nothing_but_the_list(scene: Scene) -> None:
    await scene.begin()
    scene.grow(ONE)
    await scene.grown()
    scene.end()
    await scene.until("turn")
    await scene.until("chat")
    scene.page.cut()
    await scene.come_back()
    assert await scene.is_told_nothing()


async def test_another_answer_than_before_comes_whole(scene: Scene) -> None:
    """As after a restart: the model writes it anew, and may write something else."""
    await scene.begin()
    scene.grow(ONE, TWO)
    await scene.grown()
    scene.page.cut()
    scene.grow("Quite another.", TWO)
    await scene.come_back()
    turn = await scene.next()
    assert turn.name == "turn"
    assert turn.data["growing"]["html"] == [html("Quite another."), html(TWO)]


async def test_another_choice_and_another_thumb_are_told_to_who_comes_back(scene: Scene) -> None:
    await scene.begin()
    scene.grow(ONE)
    scene.end()
    while (await scene.until("chat")).data["is_busy"]:
        pass
    scene.page.cut()
    await scene.chats.rate(scene.browser.owner, scene.turn, 1)
    await scene.come_back()
    assert (await scene.next()).data["answers"][0]["rating"] == 1


@pytest.mark.parametrize(
    "seen", ["x", "1:2:3", "a:b:c:d", "a:-1:c:d", ":::", "a:" + "9" * 99 + "::"]
)
async def test_an_id_that_was_made_up_gets_the_newest_turn_and_the_list(
    scene: Scene, seen: str
) -> None:
    await scene.begin()
    scene.grow(ONE)
    scene.page.last_id = seen
    await scene.come_back()
    event = await scene.next()
    assert (event.name, event.data["growing"]["html"]) == ("turn", [html(ONE)])


async def test_an_id_may_stand_in_the_address_where_a_script_comes_back(scene: Scene) -> None:
    await scene.begin()
    scene.grow(ONE)
    await scene.grown()
    scene.grow(ONE, TWO)
    again = await scene.browser.watch(scene.chat, after=scene.page.last_id)
    assert (await scene.next(again)).name == "chats"
    grown = await scene.next(again)
    assert (grown.name, grown.data["blocks"]) == ("grow", [html(ONE), html(TWO)])


async def test_a_chat_that_was_forgotten_meanwhile_is_gone_and_the_list_goes_on(
    scene: Scene,
) -> None:
    await scene.begin()
    scene.page.cut()
    await scene.browser.call("DELETE", f"/page/chats/{scene.chat}")
    listed = await scene.come_back()
    assert listed.data == {"chats": []}
    gone = await scene.next()
    assert (gone.name, gone.data) == ("gone", {"id": scene.chat})
    chat, _ = await scene.browser.ask("Another")
    assert (await scene.until("chat")).data["id"] == chat


async def test_the_list_is_told_wherever_somebody_changes_it(scene: Scene, browse: Open) -> None:
    await scene.begin()
    lists = await scene.browser.watch()
    await scene.browser.call("PATCH", f"/page/chats/{scene.chat}", json={"title": "Parleys"})
    assert (await scene.until("chat", lists)).data["title"] == "Parleys"
    await scene.browser.call("DELETE", f"/page/chats/{scene.chat}")
    assert (await scene.until("gone", lists)).data == {"id": scene.chat}


async def test_a_page_of_a_list_hears_nothing_of_the_texts(scene: Scene) -> None:
    lists = await scene.browser.watch()
    await scene.begin()
    scene.grow(ONE)
    scene.end()
    events = [await scene.next(lists), await scene.next(lists)]
    while events[-1].data["is_busy"]:
        events.append(await scene.next(lists))
    assert {each.name for each in events} == {"chat"}


async def test_a_line_of_nothing_keeps_proxies_awake(scene: Scene, clock: FakeClock) -> None:
    await scene.begin()
    for _ in range(4):
        await clock.advance(15.0)
    scene.grow(ONE)
    await scene.until("grow")
    assert scene.page.num_comments >= 3


async def test_no_line_of_nothing_is_sent_where_something_is(
    scene: Scene, clock: FakeClock
) -> None:
    await scene.begin()
    for num in range(10):
        scene.grow("a" * num)
        await scene.until("grow")
        await clock.advance(7.0)
    assert scene.page.num_comments == 0


async def test_while_the_model_loads_a_page_waits_for_it(
    serve: Serve, browse: Open, chats: FakeChats, clock: FakeClock
) -> None:
    loaded: asyncio.Future[Chats] = asyncio.get_running_loop().create_future()
    browser = await browse(await serve(loaded=loaded))
    chat, _ = await chats.ask(browser.owner, None, "What is a parley?")
    page = await browser.watch(chat)
    await clock.advance(15.0)
    loaded.set_result(chats)
    assert (await page.next()).data["question"] == "What is a parley?"
    assert page.num_comments == 1


async def test_a_page_lets_go_of_a_parley_that_stops_while_it_loads(
    serve: Serve, browse: Open
) -> None:
    loaded: asyncio.Future[Chats] = asyncio.get_running_loop().create_future()
    browser = await browse(await serve(loaded=loaded))
    page = await browser.watch()
    loaded.cancel()
    assert await page.end() == b"retry: 1000\n\n"


async def test_a_parley_that_stops_ends_every_stream(scene: Scene) -> None:
    await scene.begin()
    scene.chats.close()
    assert b"event" not in await scene.page.end()


async def test_a_history_that_cannot_be_read_ends_the_stream_and_says_why_next_time(
    scene: Scene,
) -> None:
    await scene.begin()
    scene.page.cut()
    scene.chats.refusal = StorageError("gone")
    assert await scene.page.connect() == 200
    assert b"event" not in await scene.page.end()
    reply = await scene.browser.get(f"/page/events?chat={scene.chat}")
    assert reply.status == 503


async def test_who_has_left_is_watched_for_no_more(scene: Scene, clock: FakeClock) -> None:
    await scene.begin()
    assert scene.chats.num_watches == 1
    scene.page.cut()
    async with asyncio.timeout(SOON):
        while scene.chats.num_watches:
            await clock.settle()


async def test_who_reads_nothing_loses_the_connection_and_holds_up_nobody(
    serve: Serve, browse: Open, chats: FakeChats, clock: FakeClock
) -> None:
    server = await serve(page={"patience": 30.0})
    browser = await browse(server)
    chat, turn = await browser.ask("What is a parley?")
    quick = await browser.watch(chat)
    await quick.next()
    reader, writer = await reads_nothing(browser, chat)
    while chats.num_watches < 2:
        await clock.settle()
    with closing(writer):
        for letter in cycle("abc"):
            chats.grow(browser.owner, turn, letter * 200_000)
            await quick.until("grow")
            await clock.advance(10.0)
            if chats.num_watches == 1:
                break
    chats.grow(browser.owner, turn, "On it goes.")
    await quick.until("grow")
    assert reader.exception() is None  # it was there all the time


async def reads_nothing(
    browser: Browser, chat: str
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    url = URL(browser.url)
    reader, writer = await asyncio.open_connection(url.host, url.port, limit=1024)
    request = f"GET /page/events?chat={chat} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    cookie = f"Cookie: parley_owner={browser.cookies['parley_owner']}\r\n\r\n"
    writer.write(f"{request}{cookie}".encode())
    return reader, writer


async def test_a_stop_of_parley_does_not_wait_for_pages(
    serve: Serve, browse: Open, chats: FakeChats
) -> None:
    """They would wait for an answer for ever."""
    server = await serve(drain_seconds=30.0)
    browser = await browse(server)
    page = await browser.watch()
    chats.close()
    await page.end()


async def test_who_asks_for_the_head_of_events_watches_nothing(
    serve: Serve, browse: Open, chats: FakeChats
) -> None:
    browser = await browse(await serve())
    chat, _ = await browser.ask("What is a parley?")
    reader, writer = await asyncio.open_connection("127.0.0.1", URL(browser.url).port)
    cookie = f"parley_owner={browser.cookies['parley_owner']}"
    head = f"Host: localhost\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n"
    writer.write(f"HEAD /page/events?chat={chat} HTTP/1.1\r\n{head}".encode())
    answer = (await asyncio.wait_for(reader.read(), SOON)).decode()
    writer.close()
    assert answer.startswith("HTTP/1.1 200 OK")
    assert "text/event-stream" in answer
    assert answer.endswith("\r\n\r\n")
    assert not chats.num_watches

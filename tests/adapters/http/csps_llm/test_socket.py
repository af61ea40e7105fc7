"""The socket, used as csps-llm's own page uses it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress

import aiohttp
import pytest
from aiohttp import WSCloseCode, WSMsgType

from adapters.http.routes import routes
from bot.errors import EngineFailed, OverLimit, ParleyError, QueueFull
from bot.generation import Delta, Finished, FinishReason, Progress, Queued, Reasoning
from bot.metrics import Metrics
from bot.server import Server, ServerSettings
from bot.types import Session
from tests.adapters.http.conftest import MODEL, Serve
from tests.adapters.http.csps_llm.page import Page
from tests.fakes.clock import FakeClock
from tests.fakes.conversations import HELLO, FakeConversations
from tests.fakes.readiness import always


@pytest.fixture
def conversations() -> FakeConversations:
    return FakeConversations()


@pytest.fixture
async def page(serve: Serve, conversations: FakeConversations) -> AsyncIterator[Page]:
    server = await serve(conversations)
    async with Page(server.url) as page:
        yield page


def sessions(conversations: FakeConversations) -> list[Session]:
    return [question.session for question in conversations.questions]


async def test_a_reply_comes_in_pieces_and_then_the_key(
    page: Page, conversations: FakeConversations
) -> None:
    shown = await page.ask("Hello?")
    assert shown.text == "Hello there"
    assert uuid.UUID(shown.key).urn == shown.key
    (question,) = conversations.questions
    assert question.text == "Hello?"
    assert question.session == Session("local", "assistant", shown.key)


async def test_a_session_goes_on_by_its_key_also_on_another_socket(
    page: Page, conversations: FakeConversations
) -> None:
    first = await page.ask("One?")
    await page.socket.close()
    await page.open()
    assert (await page.ask("Two?")).key == first.key
    await page.send("Three?")  # without the key, as other clients do
    assert (await page.reply()).key == first.key
    assert len(set(sessions(conversations))) == 1


async def test_an_empty_key_begins_a_new_session(page: Page) -> None:
    first = await page.ask("One?")
    await page.send("|SESSION||/SESSION|Two?")
    second = await page.reply()
    assert second.key != first.key
    await page.send("Three?")
    assert (await page.reply()).key == second.key


@pytest.mark.parametrize("key", ["a b", "a/b", "<END>", "x" * 129, "é"])
async def test_what_can_be_no_key_begins_a_new_session(page: Page, key: str) -> None:
    await page.send(f"|SESSION|{key}|/SESSION|Hello?")
    assert uuid.UUID((await page.reply()).key)


async def test_several_prompts_wait_for_each_other(
    serve: Serve,
) -> None:
    conversations = FakeConversations(script=())
    server = await serve(conversations)
    async with Page(server.url) as page:
        for prompt in ("One?", "Two?", "Three?"):
            await page.send(prompt)
        for number in (1, 2, 3):
            generation = await conversations.begun(number)
            assert len(conversations.questions) == number
            generation.say(Delta(str(number)), Finished(FinishReason.STOP))
            assert (await page.reply()).text == str(number)


async def test_too_many_waiting_prompts_close_the_socket(serve: Serve) -> None:
    conversations = FakeConversations(script=())
    server = await serve(conversations)
    async with Page(server.url) as page:
        await page.send("One?")
        generation = await conversations.begun()
        for _ in range(9):
            await page.send("More?")
        closed = await page.socket.receive(timeout=20)
        assert (closed.type, closed.data) == (WSMsgType.CLOSE, WSCloseCode.TRY_AGAIN_LATER)
        assert closed.extra == "At most 8 prompts wait on one socket."
        await asyncio.wait_for(generation.cancelled.wait(), 20)
        assert len(conversations.questions) == 1


async def test_neither_places_nor_reasoning_are_shown(serve: Serve) -> None:
    script = (Queued(3, 2.0), Reasoning("Hm."), *HELLO)
    server = await serve(FakeConversations(script=script))
    async with Page(server.url) as page:
        assert (await page.ask("Hello?")).text == "Hello there"


async def test_a_model_that_writes_an_end_does_not_end_the_reply(serve: Serve) -> None:
    script = (Delta("See <END urn:x> and <END>"), Finished(FinishReason.STOP))
    server = await serve(FakeConversations(script=script))
    async with Page(server.url) as page:
        shown = await page.ask("Hello?")
        assert shown.text == "See <END urn:x> and <END>"
        assert not any("<END" in frame for frame in shown.frames)


async def test_a_plain_end_by_a_setting(conversations: FakeConversations, clock: FakeClock) -> None:
    server = Server(ServerSettings(port=0, drain_seconds=0.2), Metrics(), always())
    names = (MODEL,)
    server.mount(routes(conversations, model_names=lambda: names, clock=clock, socket_end="plain"))
    async with server, Page(server.url) as page:
        for _ in range(2):
            await page.send("Hello?")
            frames = [await page.frame()]
            while "<END>" not in frames[-1]:
                frames.append(await page.frame())
            assert frames[-1] == "<END>"
            assert "".join(frames[:-1]) == "Hello there"
    assert len(set(sessions(conversations))) == 1


# Material and pages


async def test_the_clipboard_is_quoted_before_the_question(
    page: Page, conversations: FakeConversations
) -> None:
    await page.ask("|CONTENT|Line.|/CONTENT|Why?")
    assert conversations.questions[0].text == "[Clipboard]\n> Line.\n\nWhy?"


async def test_what_is_read_is_told_in_frames_before_the_reply(serve: Serve) -> None:
    script = (Progress("reading example.com"), *HELLO)
    conversations = FakeConversations(script=script)
    server = await serve(conversations)
    async with Page(server.url) as page:
        shown = await page.ask("https://example.com/feed What is new?")
        assert shown.frames[0] == "reading example.com…\n"
        assert shown.text == "reading example.com…\nHello there"
    (question,) = conversations.questions
    assert (question.text, question.needs_pages) == ("https://example.com/feed What is new?", True)


async def test_sites_limit_what_is_read(page: Page, conversations: FakeConversations) -> None:
    await page.ask("|RAG|a.ca|b.ca|/RAG|Why?")
    (question,) = conversations.questions
    assert (question.text, question.sites) == ("Why?", ("a.ca", "b.ca"))
    assert not question.needs_pages


# Bad input and failures


@pytest.mark.parametrize(
    ("frame", "sentence"),
    [
        ("", "There is no question in this."),
        (" \x83\n", "There is no question in this."),
        ("|SESSION||/SESSION|", "There is no question in this."),
        (b"Hello?", "A prompt is a frame of text, not of bytes."),
        ("x" * ((1 << 20) + 1), "A prompt has at most 1,048,576 characters."),
    ],
)
async def test_a_bad_frame_gets_a_sentence_and_an_end(
    page: Page, frame: str | bytes, sentence: str
) -> None:
    if isinstance(frame, bytes):
        await page.socket.send_bytes(frame)
    else:
        await page.send(frame)
    assert (await page.reply()).text == sentence
    assert (await page.ask("Hello?")).text == "Hello there"


async def test_a_frame_that_is_far_too_long_closes_the_socket(page: Page) -> None:
    with suppress(ConnectionError):
        await page.send("x" * (5 << 20))
    closed = await page.socket.receive(timeout=20)
    assert closed.type in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.ERROR)
    await page.open()
    assert (await page.ask("Hello?")).text == "Hello there"


@pytest.mark.parametrize(
    "refusal",
    [OverLimit("Too fast.", 2.0), QueueFull(2.0), EngineFailed("The model is still loading.")],
)
async def test_a_refusal_is_a_sentence_and_an_end(
    page: Page, conversations: FakeConversations, refusal: ParleyError
) -> None:
    conversations.refusal = refusal
    assert (await page.ask("Hello?")).text == str(refusal)


async def test_a_failure_stands_below_what_was_said(serve: Serve) -> None:
    script = (Delta("Hel"), Finished(FinishReason.ERROR, detail="The engine broke."))
    server = await serve(FakeConversations(script=script))
    async with Page(server.url) as page:
        assert (await page.ask("Hello?")).text == "Hel\n\nThe engine broke."


async def test_an_unknown_personality_opens_no_socket(serve: Serve) -> None:
    server = await serve(FakeConversations())
    async with aiohttp.ClientSession(server.url) as client:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.ws_connect("/gpt-socket/ninja")
        assert refused.value.status == 404
        async with client.get("/gpt-socket/assistant") as answer:
            assert answer.status == 404
            assert (await answer.text()).startswith("This address is a WebSocket;")


# Who may


async def test_a_page_of_another_site_opens_no_socket(serve: Serve) -> None:
    conversations = FakeConversations()
    server = await serve(conversations)
    async with aiohttp.ClientSession(server.url) as client:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.ws_connect("/gpt-socket/assistant", origin="https://evil.example")
        assert refused.value.status == 403
        async with client.ws_connect("/gpt-socket/assistant", origin=server.url) as socket:
            await socket.send_str("Hello?")
            assert await socket.receive_str(timeout=20)


async def test_each_key_and_whoever_signs_in_at_a_proxy_has_sessions_of_their_own(
    conversations: FakeConversations, clock: FakeClock
) -> None:
    settings = ServerSettings(
        port=0,
        api_keys={"proxy": "secret", "other": "word"},
        basic_auth={"ann": "pass"},
        trusted_proxies=("127.0.0.1",),
        cors_origins=("https://chat.example",),
        is_public=True,
        drain_seconds=0.2,
    )
    server = Server(settings, Metrics(), always())
    server.mount(routes(conversations, model_names=lambda: (MODEL,), clock=clock))
    proxy = {"Authorization": "Bearer secret", "Origin": "https://chat.example"}
    callers = (
        proxy,
        {**proxy, "X-Forwarded-User": "ada"},
        {"Authorization": "Bearer word"},
        {"Authorization": aiohttp.encode_basic_auth("ann", "pass")},
    )
    async with server, AsyncExitStack() as stack:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await stack.enter_async_context(Page(server.url))
        assert refused.value.status == 401
        for headers in callers:
            page = await stack.enter_async_context(Page(server.url, headers=headers))
            await page.send("|SESSION|theirs|/SESSION|Hello?")
            assert (await page.reply()).key == "theirs"
    assert sessions(conversations) == [
        Session("proxy", "assistant", "theirs"),
        Session("user:ada", "assistant", "theirs"),
        Session("other", "assistant", "theirs"),
        Session("ann", "assistant", "theirs"),
    ]


# Leaving


@pytest.mark.parametrize("abruptly", [False, True])
@pytest.mark.parametrize("events", [(), (Queued(2),), (Delta("Hel"),)])
async def test_leaving_in_any_state_ends_the_reply(
    serve: Serve, events: tuple[Queued | Delta, ...], abruptly: bool
) -> None:
    conversations = FakeConversations(script=events)
    server = await serve(conversations)
    async with Page(server.url) as page:
        await page.send("One?")
        await page.send("Two?")
        generation = await conversations.begun()
        if any(isinstance(event, Delta) for event in events):
            assert await page.frame() == "Hel"
        if abruptly:
            page.transport.abort()
        else:
            await page.socket.close()
        await asyncio.wait_for(generation.cancelled.wait(), 20)
        assert len(conversations.questions) == 1


async def test_a_client_that_reads_nothing_is_let_go(serve: Serve, clock: FakeClock) -> None:
    conversations = FakeConversations(script=())
    server = await serve(conversations)
    async with Page(server.url) as page:
        await page.send("Hello?")
        generation = await conversations.begun()
        page.transport.pause_reading()
        for _ in range(200):
            generation.say(Delta("x" * 100_000))
        while not generation.cancelled.is_set():
            await clock.advance(10)
        page.transport.abort()


async def test_an_idle_socket_is_told_that_parley_stops_and_holds_nothing_up(
    conversations: FakeConversations, clock: FakeClock
) -> None:
    server = Server(ServerSettings(port=0, drain_seconds=60), Metrics(), always())
    server.mount(routes(conversations, model_names=lambda: (MODEL,), clock=clock))
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(server)
        page = Page(server.url)
        await page.open()
        await page.ask("Hello?")
        closing = asyncio.create_task(stack.aclose())
        closed = await page.socket.receive(timeout=20)
        assert (closed.type, closed.data) == (WSMsgType.CLOSE, WSCloseCode.GOING_AWAY)
        assert closed.extra == "Parley is stopping."
        await asyncio.wait_for(closing, 20)
        await page.__aexit__(None, None, None)


async def test_an_alias_is_a_personality_too(
    conversations: FakeConversations, clock: FakeClock
) -> None:
    server = Server(ServerSettings(port=0, drain_seconds=0.2), Metrics(), always())
    aliases = {"My_Coder": "coder", "old": "default", "*": "assistant"}
    names = (MODEL,)
    server.mount(routes(conversations, model_names=lambda: names, aliases=aliases, clock=clock))
    async with server:
        for asked in ("My_Coder", "CODER", "anything"):
            async with Page(server.url, asked) as page:
                await page.ask("Hello?")
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await Page(server.url, "old").__aenter__()
    assert [each.personality for each in sessions(conversations)] == ["coder", "coder", "assistant"]

"""Plain text for scripts: the manner of ``curl``."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator

import aiohttp
import pytest

from bot.errors import AccessDenied, EngineFailed, OverLimit, ParleyError, PromptTooLong
from bot.generation import Delta, Finished, FinishReason, Progress, Reasoning
from bot.types import Session
from tests.adapters.http.conftest import Serve
from tests.fakes.conversations import HELLO, FakeConversations

HEADER = "X-Parley-Session"


@pytest.fixture
def conversations() -> FakeConversations:
    return FakeConversations()


@pytest.fixture
async def client(
    serve: Serve, conversations: FakeConversations
) -> AsyncIterator[aiohttp.ClientSession]:
    server = await serve(conversations)
    async with aiohttp.ClientSession(server.url) as client:
        yield client


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_the_prompt_stands_in_the_query(
    client: aiohttp.ClientSession, conversations: FakeConversations, method: str
) -> None:
    async with client.request(method, "/gpt/coder", params={"prompt": "Hello?"}) as answer:
        assert (answer.status, answer.content_type) == (200, "text/plain")
        assert await answer.text() == "Hello there"
        key = answer.headers[HEADER]
    assert uuid.UUID(key).urn == key
    (question,) = conversations.questions
    assert (question.text, question.session) == ("Hello?", Session("local", "coder", key))


@pytest.mark.parametrize("form", [aiohttp.FormData, aiohttp.MultipartWriter])
async def test_or_in_a_form(
    client: aiohttp.ClientSession, conversations: FakeConversations, form: type
) -> None:
    fields = {"prompt": "Hello?", "session": "mine"}
    data = aiohttp.FormData(fields, default_to_multipart=form is aiohttp.MultipartWriter)
    async with client.post("/gpt/assistant", data=data) as answer:
        assert answer.headers[HEADER] == "mine"
    assert conversations.questions[0].text == "Hello?"


async def test_the_query_comes_before_the_form(
    client: aiohttp.ClientSession, conversations: FakeConversations
) -> None:
    query = {"prompt": "One?", "session": "a"}
    async with client.post(
        "/gpt/assistant", params=query, data={"prompt": "Two?", "session": "b"}
    ) as answer:
        assert answer.headers[HEADER] == "a"
    assert conversations.questions[0].text == "One?"


@pytest.mark.parametrize("prompt", ["", "  ", None, "\x83\x01\n", "|SESSION|a|/SESSION|"])
async def test_without_a_prompt_nothing_is_asked(
    client: aiohttp.ClientSession, conversations: FakeConversations, prompt: str | None
) -> None:
    params = {} if prompt is None else {"prompt": prompt}
    for method in ("GET", "POST"):
        async with client.request(method, "/gpt/assistant", params=params) as answer:
            assert (answer.status, answer.content_type) == (400, "text/plain")
            assert (await answer.text()).startswith("There is no prompt;")
    assert not conversations.questions


async def test_markers_count_here_too(
    client: aiohttp.ClientSession, conversations: FakeConversations
) -> None:
    prompt = "|SESSION|mine|/SESSION||CONTENT|A|/CONTENT|Why?"
    async with client.get("/gpt/assistant", params={"prompt": prompt}) as answer:
        assert answer.headers[HEADER] == "mine"
    assert conversations.questions[0].text == "[Clipboard]\n> A\n\nWhy?"


async def test_a_page_is_read_and_its_address_stays_in_the_question(serve: Serve) -> None:
    conversations = FakeConversations(script=(Progress("reading a.ca"), *HELLO))
    server = await serve(conversations)
    asked = {"prompt": "|RAG|a.ca|/RAG|https://a.ca Why?"}
    async with (
        aiohttp.ClientSession(server.url) as client,
        client.get("/gpt/assistant", params=asked) as answer,
    ):
        assert await answer.text() == "Hello there"
    (question,) = conversations.questions
    assert (question.text, question.sites) == ("https://a.ca Why?", ("a.ca",))
    assert question.needs_pages


async def test_the_text_grows(serve: Serve) -> None:
    conversations = FakeConversations(script=(Delta("Hel"),))
    server = await serve(conversations)
    async with (
        aiohttp.ClientSession(server.url) as client,
        client.get("/gpt/assistant", params={"prompt": "Hello?"}) as answer,
    ):
        assert answer.headers["Transfer-Encoding"] == "chunked"
        assert await answer.content.readany() == b"Hel"
        generation = await conversations.begun()
        generation.say(Delta("lo"), Finished(FinishReason.STOP))
        assert await answer.text() == "lo"


@pytest.mark.parametrize("thought", [(), (Reasoning("Hm, a greeting."),)])
async def test_an_answer_without_a_word_is_an_empty_text(
    serve: Serve, thought: tuple[Reasoning, ...]
) -> None:
    server = await serve(FakeConversations(script=(*thought, Finished(FinishReason.STOP))))
    async with (
        aiohttp.ClientSession(server.url) as client,
        client.get("/gpt/coder", params={"prompt": "Hello?", "session": "mine"}) as answer,
    ):
        assert (answer.status, answer.content_type) == (200, "text/plain")
        assert answer.headers[HEADER] == "mine"
        assert await answer.text() == ""


async def test_a_failure_of_the_model_is_told_with_what_there_is(serve: Serve) -> None:
    broken = Finished(FinishReason.ERROR, detail="The engine broke.")
    forgotten = Finished(FinishReason.CANCELLED, detail="The session was forgotten.")
    for script, text in (
        ((Delta("Hel"), broken), "Hel\n\nThe engine broke.\n"),
        ((broken,), "The engine broke.\n"),
        ((forgotten,), "The session was forgotten.\n"),
    ):
        server = await serve(FakeConversations(script=script))
        async with (
            aiohttp.ClientSession(server.url) as client,
            client.get("/gpt/assistant", params={"prompt": "Hello?"}) as answer,
        ):
            assert (answer.status, await answer.text()) == (200, text)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (OverLimit("Too fast.", 2.4), 429),
        (AccessDenied("No."), 403),
        (PromptTooLong(9, 5), 400),
        (EngineFailed("Gone."), 200),
    ],
)
async def test_a_refusal_is_a_sentence(
    client: aiohttp.ClientSession,
    conversations: FakeConversations,
    error: ParleyError,
    status: int,
) -> None:
    conversations.refusal = error
    async with client.get("/gpt/assistant", params={"prompt": "Hello?"}) as answer:
        assert (answer.status, answer.content_type) == (status, "text/plain")
        assert await answer.text() == f"{error}\n"
        assert answer.headers.get("Retry-After") == ("3" if status == 429 else None)


async def test_an_unknown_personality_is_not_found(client: aiohttp.ClientSession) -> None:
    async with client.get("/gpt/ninja", params={"prompt": "Hello?"}) as answer:
        assert answer.status == 404
        assert (await answer.text()).startswith("There is no personality 'ninja'")


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize("path", ["/gpt/assistant?prompt=Hello", "/gpt-socket/assistant"])
async def test_a_link_or_picture_of_another_site_asks_nothing(
    client: aiohttp.ClientSession, conversations: FakeConversations, path: str, site: str
) -> None:
    async with client.get(path, headers={"Sec-Fetch-Site": site}) as answer:
        assert answer.status == 403
    assert not conversations.questions


async def test_a_head_asks_nothing(
    client: aiohttp.ClientSession, conversations: FakeConversations
) -> None:
    async with client.head("/gpt/assistant?prompt=Hello") as answer:
        assert answer.status == 405
    assert not conversations.questions


async def test_leaving_ends_the_reply(serve: Serve) -> None:
    conversations = FakeConversations(script=(Delta("Hel"),))
    server = await serve(conversations)
    async with aiohttp.ClientSession(server.url) as client:
        async with client.get("/gpt/assistant", params={"prompt": "Hello?"}) as answer:
            await answer.content.readany()
            generation = await conversations.begun()
            assert answer.connection
            assert answer.connection.transport
            answer.connection.transport.abort()
        await asyncio.wait_for(generation.cancelled.wait(), 20)


async def test_a_session_can_be_forgotten(
    client: aiohttp.ClientSession, conversations: FakeConversations
) -> None:
    async with client.get("/gpt/coder", params={"prompt": "Hello?", "session": "mine"}):
        pass
    for path, status in (
        ("/gpt/coder?session=mine", 200),
        ("/gpt/coder?session=mine", 404),
        ("/gpt/coder?session=not a key", 404),
        ("/gpt/coder", 404),
        ("/gpt/ninja?session=mine", 404),
    ):
        async with client.delete(path) as answer:
            assert answer.status == status

"""Work whose answer is JSON, and what else the interface has."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from adapters.http.csps_llm.missing import MISSING
from adapters.http.routes import routes
from bot.answer_formats import JsonObject, JsonSchema
from bot.errors import EngineFailed, OverLimit, UnsupportedFormat
from bot.generation import ChatMessage, Delta, Finished, FinishReason
from bot.metrics import Metrics
from bot.server import Server, ServerSettings
from bot.types import ModelCard, Session
from tests.adapters.http.conftest import MODEL, Serve
from tests.fakes.clock import FakeClock
from tests.fakes.conversations import FakeConversations
from tests.fakes.readiness import always

JSON = (Delta('{"sea": '), Delta('"blue"}'), Finished(FinishReason.STOP))
SCHEMA = {"type": "object", "properties": {"sea": {"type": "string"}}}


@pytest.fixture
def conversations() -> FakeConversations:
    return FakeConversations(script=JSON)


@pytest.fixture
async def client(
    serve: Serve, conversations: FakeConversations
) -> AsyncIterator[aiohttp.ClientSession]:
    server = await serve(conversations)
    async with aiohttp.ClientSession(server.url) as client:
        yield client


async def toiled(
    client: aiohttp.ClientSession, body: object, path: str = "/toil/coder"
) -> tuple[int, Any]:
    """Status and JSON of the answer, which has a Content-Length."""
    async with client.post(path, json=body) as answer:
        assert answer.content_type == "application/json"
        assert answer.content_length
        return answer.status, await answer.json()


async def test_work_is_answered_with_json_and_nothing_is_kept(
    client: aiohttp.ClientSession, conversations: FakeConversations
) -> None:
    assert await toiled(client, {"prompt": "The sea?", "other": 1}) == (200, {"sea": "blue"})
    (request,) = conversations.requests
    assert request.messages == (ChatMessage("user", "The sea?\n\nAnswer with a JSON object."),)
    assert (request.personality, request.answer_format) == ("coder", JsonObject())
    assert not conversations.questions


@pytest.mark.parametrize("schema", [SCHEMA, json.dumps(SCHEMA)])
async def test_a_schema_binds_the_answer(
    client: aiohttp.ClientSession, conversations: FakeConversations, schema: object
) -> None:
    await toiled(client, {"prompt": "The sea?", "schema": schema, "text": None})
    (request,) = conversations.requests
    assert request.answer_format == JsonSchema(json.dumps(SCHEMA))
    assert request.messages[0].content.endswith(f"by this schema: {json.dumps(SCHEMA)}")


async def test_a_text_is_quoted_before_the_prompt(
    client: aiohttp.ClientSession, conversations: FakeConversations
) -> None:
    await toiled(client, {"prompt": "Sum up.", "text": "One.\n[Text]\nTwo."})
    (message,) = conversations.requests[0].messages
    assert message.content.startswith("[Text]\n> One.\n> [Text]\n> Two.\n\nSum up.\n\nAnswer")


async def test_a_text_that_is_an_address_is_read(
    client: aiohttp.ClientSession, conversations: FakeConversations
) -> None:
    for path in ("/toil/assistant", "/toil/assistant?session=mine"):
        body = {"prompt": "Sum up.", "text": " https://a.ca/b "}
        async with client.post(path, json=body) as answer:
            assert answer.status == 200
    (request,), (question,) = conversations.requests, conversations.questions
    assert request.messages[0].content.startswith("https://a.ca/b\n\nSum up.\n\nAnswer")
    assert question.text == request.messages[0].content
    assert request.needs_pages
    assert question.needs_pages


async def test_in_a_session_it_goes_on(
    client: aiohttp.ClientSession, conversations: FakeConversations
) -> None:
    path = "/toil/coder?session=mine"
    async with client.post(path, json={"prompt": "The sea?", "schema": SCHEMA}) as answer:
        assert answer.headers["X-Parley-Session"] == "mine"
        assert await answer.json() == {"sea": "blue"}
    (question,) = conversations.questions
    assert question.session == Session("local", "coder", "mine")
    assert question.answer_format == JsonSchema(json.dumps(SCHEMA))


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ({"prompt": " "}, 400, "There is no prompt."),
        ({}, 400, "prompt: Field required."),
        ({"prompt": 3}, 400, "prompt: Input should be a valid string."),
        ({"prompt": "Hi", "text": []}, 400, "text: Input should be a valid string."),
        ([], 400, None),
        (
            {"prompt": "Hi", "schema": 3},
            400,
            "schema: should be an object, or the text of one.",
        ),
        (
            {"prompt": "Hi", "schema": True},
            400,
            "schema: should be an object, or the text of one.",
        ),
    ],
)
async def test_a_wrong_body_is_told_as_json(
    client: aiohttp.ClientSession, body: object, status: int, sentence: str | None
) -> None:
    got, answer = await toiled(client, body)
    assert got == status
    assert list(answer) == ["error"]
    assert sentence in (None, answer["error"])


@pytest.mark.parametrize(
    ("data", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"{}", "text/plain", 415),
        (b"\xff", "application/json", 400),
    ],
)
async def test_a_body_that_is_no_json_is_told_as_json(
    client: aiohttp.ClientSession, data: bytes, content_type: str, status: int
) -> None:
    headers = {"Content-Type": content_type}
    async with client.post("/toil/coder", data=data, headers=headers) as answer:
        assert answer.status == status
        assert isinstance((await answer.json())["error"], str)


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (UnsupportedFormat("The format 'iban' cannot be followed."), 400),
        (OverLimit("Too fast.", 1.0), 429),
        (EngineFailed("Gone."), 503),
    ],
)
async def test_a_refusal_is_json(
    client: aiohttp.ClientSession,
    conversations: FakeConversations,
    refusal: UnsupportedFormat | OverLimit | EngineFailed,
    status: int,
) -> None:
    conversations.refusal = refusal
    body = {"prompt": "Hi"}
    for path in ("/toil/coder", "/toil/coder?session=mine"):
        assert await toiled(client, body, path) == (status, {"error": str(refusal)})


@pytest.mark.parametrize("reason", [FinishReason.LENGTH, FinishReason.LOOPED, FinishReason.STOP])
async def test_half_an_answer_is_an_error_in_json(serve: Serve, reason: FinishReason) -> None:
    for text in ('{"sea": "bl', "[" * 100_000):
        server = await serve(FakeConversations(script=(Delta(text), Finished(reason))))
        async with aiohttp.ClientSession(server.url) as client:
            status, answer = await toiled(client, {"prompt": "The sea?"})
            assert status == 503
            assert "too long to be whole JSON" in answer["error"]


# What answers


async def test_a_personality_describes_itself_and_its_model(
    conversations: FakeConversations, clock: FakeClock
) -> None:
    async def describe(name: str | None) -> ModelCard:
        assert name is None
        return ModelCard("smollm2", "a.gguf", 2048, license="apache-2.0")

    server = Server(ServerSettings(port=0, drain_seconds=0.2), Metrics(), always())
    server.mount(
        routes(conversations, model_names=lambda: (MODEL,), clock=clock, describe=describe)
    )
    async with server, aiohttp.ClientSession(server.url) as client:
        async with client.get("/describe/Coder") as answer:
            assert await answer.json() == {
                "personality": "coder",
                "title": "Coder",
                "description": "",
                "language": "en",
                "model": {
                    "name": "smollm2",
                    "file": "a.gguf",
                    "context": 2048,
                    "license": "apache-2.0",
                },
            }
        async with client.get("/describe/ninja") as answer:
            assert answer.status == 404
            assert "no personality 'ninja'" in (await answer.json())["error"]


async def test_the_platform_has_its_figures(client: aiohttp.ClientSession) -> None:
    async with client.get("/platform/stats") as answer:
        stats = await answer.json()
    assert stats["personalities"] == ["assistant", "coder"]
    assert stats["models"] == [MODEL, "assistant", "coder"]
    assert stats["cpu_count"] >= 1


@pytest.mark.parametrize("path", [*MISSING, "/embedding/some/model"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_what_parley_has_not_is_a_sentence(
    client: aiohttp.ClientSession, path: str, method: str
) -> None:
    async with client.request(method, path.format(personality="coder", name="all")) as answer:
        assert (answer.status, answer.content_type) == (404, "text/plain")
        text = await answer.text()
        assert text.startswith("Parley ")
        assert text.endswith(".\n")

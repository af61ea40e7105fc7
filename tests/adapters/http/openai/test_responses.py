"""What a program sees that uses the Responses API."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import aiohttp
import openai
import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter

from bot.answer_formats import JsonObject, JsonSchema
from bot.errors import EngineFailed, ParleyError, PromptTooLong, QueueFull, UnsupportedFormat
from bot.generation import (
    ChatMessage,
    Delta,
    Finished,
    FinishReason,
    GenerationEvent,
    Queued,
    Reasoning,
    TokenLogprob,
)
from bot.server import Server
from tests.adapters.http.conftest import MODEL, Connect, Serve
from tests.fakes.conversations import USAGE, FakeConversations

EVENT: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)
STOP = Finished(FinishReason.STOP, USAGE)
THOUGHT = (Reasoning("They "), Reasoning("greet me."), Delta("Hel"), Delta("lo!"), STOP)


class Weather(BaseModel):
    city: str
    degrees: float


async def post(server: Server, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    async with (
        aiohttp.ClientSession(server.url) as session,
        session.post("/v1/responses", json=body) as got,
    ):
        return got.status, await got.json()


async def events_of(server: Server, **body: Any) -> list[dict[str, Any]]:
    """Those of a streamed response; each has the form of the official client's types."""
    data = {"input": "Hi", "stream": True, **body}
    async with (
        aiohttp.ClientSession(server.url) as session,
        session.post("/v1/responses", json=data) as got,
    ):
        assert got.content_type == "text/event-stream"
        frames = [frame for frame in (await got.text()).split("\n\n") if frame]
    events = []
    for frame in frames:
        if not frame.startswith(":"):
            name, _, data_line = frame.partition("\n")
            events.append(json.loads(data_line.removeprefix("data: ")))
            assert name == f"event: {events[-1]['type']}"
            EVENT.validate_python(events[-1])
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    return events


async def test_a_text_gets_its_answer(serve: Serve, connect: Connect) -> None:
    conversations = FakeConversations()
    client = connect(await serve(conversations))
    response = await client.responses.create(model=MODEL, input="Hi")
    assert response.output_text == "Hello there"
    assert response.id.startswith("resp_")
    assert (response.model, response.status) == (MODEL, "completed")
    assert response.usage is not None
    assert response.usage.input_tokens == 9
    assert response.usage.input_tokens_details.cached_tokens == 4
    assert response.usage.total_tokens == 11
    (request,) = conversations.requests
    assert request.messages == (ChatMessage("user", "Hi"),)


async def test_a_response_has_the_form_of_the_official_types(serve: Serve) -> None:
    server = await serve(FakeConversations(THOUGHT))
    _, body = await post(server, {"input": "Hi"})
    response = Response.model_validate(body)
    assert [item.type for item in response.output] == ["reasoning", "message"]
    assert body["output"][0]["content"] == [{"type": "reasoning_text", "text": "They greet me."}]
    assert response.output_text == "Hello!"


async def test_instructions_come_first_and_items_become_messages(serve: Serve) -> None:
    conversations = FakeConversations()
    items: list[dict[str, Any]] = [
        {"role": "developer", "content": "In French."},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {
            "type": "message",
            "role": "assistant",
            "id": "msg_1",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Salut", "annotations": []}],
        },
        {"role": "user", "content": "And now?"},
    ]
    status, _ = await post(
        await serve(conversations), {"instructions": "Be short.", "input": items}
    )
    assert status == 200
    (request,) = conversations.requests
    assert [(message.role, message.content) for message in request.messages] == [
        ("system", "Be short."),
        ("system", "In French."),
        ("user", "Hi"),
        ("assistant", "Salut"),
        ("user", "And now?"),
    ]


async def test_a_response_can_be_sent_back_as_it_came(serve: Serve) -> None:
    conversations = FakeConversations(THOUGHT)
    server = await serve(conversations)
    _, first = await post(server, {"input": "Hi"})
    back = [{"role": "user", "content": "Hi"}, *first["output"], {"role": "user", "content": "Go"}]
    status, _ = await post(server, {"input": back})
    assert status == 200
    assert [message.content for message in conversations.requests[1].messages] == [
        "Hi",
        "Hello!",
        "Go",
    ]


async def test_calls_and_their_results_are_those_of_chats(serve: Serve) -> None:
    conversations = FakeConversations()
    server = await serve(conversations)
    call = {"name": "weather", "arguments": '{"city": "Bern"}'}
    await post(
        server,
        {
            "input": [
                {"role": "user", "content": "Weather?"},
                {"type": "function_call", "call_id": "c1", **call},
                {"type": "function_call_output", "call_id": "c1", "output": "Sunny"},
            ]
        },
    )
    messages = [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "tool_calls": [{"id": "c1", "type": "function", "function": call}]},
        {"role": "tool", "tool_call_id": "c1", "content": "Sunny"},
    ]
    async with (
        aiohttp.ClientSession(server.url) as session,
        session.post("/v1/chat/completions", json={"messages": messages}) as got,
    ):
        assert got.status == 200
    response, chat = conversations.requests
    assert response.messages == chat.messages


async def test_a_streamed_response_has_openais_events_in_their_order(serve: Serve) -> None:
    events = await events_of(await serve(FakeConversations(THOUGHT)))
    assert [event["type"].removeprefix("response.") for event in events] == [
        *("created", "in_progress"),
        *("output_item.added", "content_part.added", "reasoning_text.delta"),
        *("reasoning_text.done", "content_part.done", "output_item.done"),
        *("output_item.added", "content_part.added", "output_text.delta"),
        *("output_text.done", "content_part.done", "output_item.done"),
        "completed",
    ]
    whole = events[-1]["response"]
    assert [item["type"] for item in whole["output"]] == ["reasoning", "message"]
    assert whole["output"][1]["content"][0]["text"] == "Hello!"
    assert whole["usage"]["output_tokens"] == 2
    assert {event["output_index"] for event in events if "output_index" in event} == {0, 1}


async def test_the_text_grows_while_it_is_said(serve: Serve, connect: Connect) -> None:
    conversations = FakeConversations([Delta("Hel")])
    client = connect(await serve(conversations))
    stream = await client.responses.create(model=MODEL, input="Hi", stream=True)
    async for event in stream:
        if event.type == "response.output_text.delta":
            assert event.delta == "Hel"
            break
    (await conversations.begun()).say(Delta("lo"), STOP)
    rest = [event async for event in stream]
    assert rest[-1].type == "response.completed"
    assert rest[-1].response.output_text == "Hello"


async def test_an_empty_answer_is_an_empty_message(serve: Serve) -> None:
    server = await serve(FakeConversations([STOP]))
    _, whole = await post(server, {"input": "Hi"})
    streamed = (await events_of(server))[-1]["response"]
    for response in (whole, streamed):
        assert response["status"] == "completed"
        assert [item["content"][0]["text"] for item in response["output"]] == [""]


@pytest.mark.parametrize("reason", [FinishReason.LENGTH, FinishReason.LOOPED])
async def test_an_answer_that_was_cut_is_incomplete(serve: Serve, reason: FinishReason) -> None:
    server = await serve(FakeConversations([Delta("x"), Finished(reason, USAGE)]))
    _, whole = await post(server, {"input": "Hi", "max_output_tokens": 1})
    last = (await events_of(server))[-1]
    assert last["type"] == "response.incomplete"
    for response in (whole, last["response"]):
        assert response["status"] == response["output"][0]["status"] == "incomplete"
        assert response["incomplete_details"] == {"reason": "max_output_tokens"}


async def test_a_failure_amid_a_stream_is_its_last_event(serve: Serve) -> None:
    events: list[GenerationEvent] = [
        Delta("Hel"),
        Finished(FinishReason.ERROR, detail="It broke."),
    ]
    conversations = FakeConversations([events[0]])
    server = await serve(conversations)

    async def fail() -> None:
        (await conversations.begun()).say(events[1])

    body = {"input": "Hi", "stream": True}
    async with (
        aiohttp.ClientSession(server.url) as session,
        session.post("/v1/responses", json=body) as got,
    ):
        said = (await got.content.readuntil(b"delta\n")).decode()
        await fail()
        said += await got.text()
    last = json.loads(said.strip().rpartition("data: ")[2])
    assert last["type"] == "response.failed"
    assert last["response"]["status"] == "failed"
    assert last["response"]["error"] == {"code": "server_error", "message": "It broke."}
    assert last["response"]["output"][0]["status"] == "incomplete"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_failure_before_the_first_word_has_a_status(
    serve: Serve, connect: Connect, stream: bool
) -> None:
    failed = Finished(FinishReason.ERROR, detail="It broke.")
    client = connect(await serve(FakeConversations([failed])))
    with pytest.raises(openai.InternalServerError, match="It broke"):
        await client.responses.create(model=MODEL, input="Hi", stream=stream)


@pytest.mark.parametrize(
    ("refusal", "status", "param"),
    [
        (PromptTooLong(9000, 4096), 400, "input"),
        (UnsupportedFormat("It recurses."), 400, "text.format"),
        (QueueFull(2.0), 429, None),
        (EngineFailed("It broke."), 503, None),
    ],
)
async def test_a_refusal_names_the_key_of_this_api(
    serve: Serve, refusal: ParleyError, status: int, param: str | None
) -> None:
    got, body = await post(await serve(FakeConversations(refusal=refusal)), {"input": "Hi"})
    assert (got, body["error"]["param"]) == (status, param)


async def test_whoever_waits_for_a_place_sees_that_it_goes_on(serve: Serve) -> None:
    server = await serve(FakeConversations([Queued(3), Delta("Hi"), STOP]))
    types = [event["type"] for event in await events_of(server)]
    assert types[0] == "response.created"
    assert types[-1] == "response.completed"


async def test_structured_output_is_parsed_by_the_official_client(
    serve: Serve, connect: Connect
) -> None:
    conversations = FakeConversations([Delta('{"city": "Bern", "degrees": 21.5}'), STOP])
    client = connect(await serve(conversations))
    response = await client.responses.parse(model=MODEL, input="Weather?", text_format=Weather)
    assert response.output_parsed == Weather(city="Bern", degrees=21.5)
    assert isinstance(conversations.requests[0].answer_format, JsonSchema)
    async with client.responses.stream(
        model=MODEL, input="Weather?", text_format=Weather
    ) as stream:
        final = await stream.get_final_response()
    assert final.output_parsed == response.output_parsed


async def test_options_are_those_of_the_engine(serve: Serve) -> None:
    conversations = FakeConversations()
    options = {"temperature": 0.2, "top_p": 0.5, "top_k": 7, "max_output_tokens": 33}
    _, body = await post(
        await serve(conversations),
        {
            "input": "Hi",
            **options,
            "text": {"format": {"type": "json_object"}, "verbosity": "medium"},
            "include": ["message.output_text.logprobs"],
            "top_logprobs": 2,
            "safety_identifier": "u-7",
            "metadata": {"topic": "demo"},
            "store": True,
            "truncation": "auto",
            "reasoning": {"effort": None},
            "tools": [],
            "service_tier": "flex",
        },
    )
    (request,) = conversations.requests
    assert request.sampling == {"temperature": 0.2, "top_p": 0.5, "top_k": 7}
    assert (request.max_tokens, request.num_logprobs, request.user) == (33, 2, "u-7")
    assert request.answer_format == JsonObject()
    assert request.is_background
    assert body["metadata"] == {"topic": "demo"}
    assert body["text"] == {"format": {"type": "json_object"}}
    assert (body["store"], body["truncation"]) == (False, "auto")


async def test_logprobs_come_with_the_text(serve: Serve) -> None:
    token = TokenLogprob(b"Hi", -0.5, (TokenLogprob(b"Hi", -0.5), TokenLogprob(b"Ho", -1.5)))
    conversations = FakeConversations([replace(Delta("Hi"), logprobs=(token,)), STOP])
    server = await serve(conversations)
    _, body = await post(server, {"input": "Hi", "top_logprobs": 2})
    Response.model_validate(body)
    (logprob,) = body["output"][0]["content"][0]["logprobs"]
    assert [top["token"] for top in logprob["top_logprobs"]] == ["Hi", "Ho"]
    (delta,) = [e for e in await events_of(server) if e["type"].endswith("text.delta")]
    assert delta["logprobs"][0]["token"] == "Hi"


STORES_NOTHING = "Parley stores nothing of an answer; please send the whole conversation in input"


@pytest.mark.parametrize(
    ("body", "param", "sentence"),
    [
        ({}, "input", "Field required"),
        ({"input": []}, "input", "at least 1 item"),
        ({"input": [{"type": "reasoning"}]}, "input", "there is nothing to answer"),
        ({"input": "Hi", "previous_response_id": "resp_1"}, "previous_response_id", STORES_NOTHING),
        ({"input": "Hi", "conversation": {"id": "c"}}, "conversation", STORES_NOTHING),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0]", "send it whole"),
        ({"input": [{"type": "computer_call"}]}, "input[0]", "'computer_call', which is not"),
        ({"input": [3]}, "input[0]", "is no item"),
        ({"input": [{"role": "user"}]}, "input[0].content", "Field required"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
            "input[0].content",
            "part 0 is of type 'input_image'; only text is understood",
        ),
        (
            {"input": [{"type": "function_call_output", "call_id": "c", "output": ""}]},
            "input[0].call_id",
            "an earlier function_call",
        ),
        ({"input": "Hi", "max_output_tokens": 0}, "max_output_tokens", "greater than or equal"),
        ({"input": "Hi", "text": {"format": {"type": "xml"}}}, "text.format", "'json_schema'"),
        (
            {"input": "Hi", "text": {"format": {"type": "json_schema", "name": "x"}}},
            "text.format.schema",
            "Field required",
        ),
        ({"input": "Hi", "text": {"verbosity": "high"}}, "text.verbosity", "not supported"),
        ({"input": "Hi", "background": True}, "background", "not supported with this value"),
        ({"input": "Hi", "reasoning": {"effort": "high"}}, "reasoning", "not supported"),
        ({"input": "Hi", "include": ["x"]}, "include[0]", "Input should be"),
        ({"input": "Hi", "max_tokens": 7}, "max_tokens", "max_tokens is not supported"),
        ({"input": "Hi", "surprise": 7}, "surprise", "surprise is not supported"),
        ({"input": "\x00"}, "input[0].content", "control character"),
    ],
)
async def test_bad_input_is_refused_by_name(
    serve: Serve, body: dict[str, Any], param: str, sentence: str
) -> None:
    status, answer = await post(await serve(FakeConversations()), body)
    assert (status, answer["error"]["param"]) == (400, param)
    assert sentence in answer["error"]["message"]

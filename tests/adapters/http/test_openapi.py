"""The OpenAPI description: whole, and true of what is served."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.hdrs import METH_HEAD, METH_OPTIONS
from jsonschema import Draft202012Validator

from adapters.http.routes import routes
from bot.generation import Delta, Finished, FinishReason, Reasoning, TokenLogprob, ToolCallDelta
from bot.metrics import Metrics
from bot.server import Server, ServerSettings
from tests.adapters.http.conftest import MODEL, Serve
from tests.fakes.clock import FakeClock
from tests.fakes.conversations import USAGE, FakeConversations
from tests.fakes.readiness import always

OTHER_SPELLINGS = {("POST", "/{any_case}")}
"""Routes that serve in any case what is described in one."""


async def description(server: Server) -> dict[str, Any]:
    async with aiohttp.ClientSession() as session, session.get(f"{server.url}/openapi.json") as got:
        assert got.status == 200
        assert got.content_type == "application/json"
        document: dict[str, Any] = await got.json()
        return document


async def test_every_route_is_described_and_nothing_else(serve: Serve, clock: FakeClock) -> None:
    document = await description(await serve(FakeConversations()))
    described = {(m.upper(), path) for path, each in document["paths"].items() for m in each}
    app = web.Application()
    app.add_routes(routes(FakeConversations(), model_names=lambda: (MODEL,), clock=clock))
    served = {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource and route.method not in (METH_HEAD, METH_OPTIONS)
    }
    assert described == served - OTHER_SPELLINGS


async def test_a_body_is_described_with_the_bounds_of_its_keys(serve: Serve) -> None:
    document = await description(await serve(FakeConversations()))
    chat = document["components"]["schemas"]["ChatBody"]
    assert chat["required"] == ["messages"]
    assert chat["properties"]["n"]["anyOf"][0] == {"type": "integer", "minimum": 1, "maximum": 16}


async def test_it_needs_a_key_where_the_api_needs_one(clock: FakeClock) -> None:
    settings = ServerSettings(port=0, api_keys={"program": "secret"}, is_public=True)
    server = Server(settings, Metrics(), always())
    server.mount(routes(FakeConversations(), model_names=lambda: (MODEL,), clock=clock))
    async with server, aiohttp.ClientSession(server.url) as session:
        async with session.get("/openapi.json") as refused:
            assert refused.status == 401
        headers = {"Authorization": "Bearer secret"}
        async with session.get("/openapi.json", headers=headers) as got:
            assert (await got.json())["openapi"] == "3.1.0"


async def test_the_events_of_a_stream_are_as_described(serve: Serve) -> None:
    token = TokenLogprob(b"Hi", -0.5, (TokenLogprob(b"Hi", -0.5),))
    call = (ToolCallDelta(0, id="c1", name="look"), ToolCallDelta(0, "{}"))
    said = (Reasoning("Hm."), replace(Delta("Hi"), logprobs=(token,)), *call)
    server = await serve(FakeConversations((*said, Finished(FinishReason.STOP, USAGE))))
    document = await description(server)
    chat = {"messages": [{"role": "user", "content": "Hi"}], "logprobs": True}
    bodies = {
        "/v1/chat/completions": {**chat, "stream_options": {"include_usage": True}},
        "/v1/responses": {"input": "Hi", "top_logprobs": 1},
    }
    for path, body in bodies.items():
        responses = document["paths"][path]["post"]["responses"]["200"]
        event = responses["content"]["text/event-stream"]["schema"]
        schema = event["properties"]["data"]["anyOf"][0]["contentSchema"]
        validator = Draft202012Validator({**schema, "components": document["components"]})
        told = await stream(server, path, body)
        assert len(told) > 3
        for data in told:
            validator.validate(data)


async def stream(server: Server, path: str, body: dict[str, Any]) -> list[Any]:
    async with (
        aiohttp.ClientSession(server.url) as session,
        session.post(path, json={**body, "stream": True}) as got,
    ):
        lines = (await got.text()).splitlines()
    told = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    return [json.loads(data) for data in told if data != "[DONE]"]

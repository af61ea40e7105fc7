"""Several models behind one address."""

from __future__ import annotations

import aiohttp

from adapters.http.routes import routes
from bot.errors import StillLoading
from bot.metrics import Metrics
from bot.running.supervision import LateConversations
from bot.server import Server, ServerSettings
from tests.adapters.http.conftest import MODEL
from tests.fakes.clock import FakeClock
from tests.fakes.conversations import FakeConversations
from tests.fakes.readiness import always


async def test_further_models_are_listed_and_can_be_asked_by_name(clock: FakeClock) -> None:
    conversations = FakeConversations()
    server = Server(ServerSettings(port=0), Metrics(), always())
    server.mount(routes(conversations, model_names=lambda: (MODEL, "big", "coder"), clock=clock))
    body = {"messages": [{"role": "user", "content": "Hi"}]}
    async with server, aiohttp.ClientSession(server.url) as session:
        async with session.get("/v1/models") as response:
            names = [each["id"] for each in (await response.json())["data"]]
        for name in ("big", "coder", MODEL):
            data = {**body, "model": name}
            async with session.post("/v1/chat/completions", json=data) as response:
                assert (await response.json())["model"] == name
    assert names[:3] == [MODEL, "big", "coder"]
    big, coder, default = conversations.requests
    assert (big.model, big.personality) == ("big", None)
    assert (coder.model, coder.personality) == (None, "coder"), "a personality comes first"
    assert (default.model, default.personality) == (None, None)


ALIASES = {"gpt-3.5-turbo": "coder", "mistral": "default", "gpt-4o": "gone", "big": "coder"}


async def test_names_that_clients_have_built_in_stand_for_what_there_is(clock: FakeClock) -> None:
    conversations = FakeConversations()
    server = Server(ServerSettings(port=0), Metrics(), always())
    names = (MODEL, "big")
    server.mount(routes(conversations, model_names=lambda: names, aliases=ALIASES, clock=clock))
    async with server, aiohttp.ClientSession(server.url) as session:
        assert await answered(session, "gpt-3.5-turbo") == (200, "coder")
        assert await answered(session, "mistral") == (200, MODEL)
        assert await answered(session, "big") == (200, "big"), "what there is comes first"
        status, said = await answered(session, "gpt-4o")
        assert (status, said[:56]) == (
            404,
            "There is no model 'gone', for which 'gpt-4o' stands; kno",
        )
        assert (await answered(session, "other"))[0] == 404
        async with session.get("/v1/models") as response:
            listed = [each["id"] for each in (await response.json())["data"]]
    assert listed == [MODEL, "big", "assistant", "coder", "gpt-3.5-turbo", "mistral", "gpt-4o"]


async def test_every_listed_name_is_found_as_it_is_listed(clock: FakeClock) -> None:
    server = Server(ServerSettings(port=0), Metrics(), always())
    aliases = {"gpt-3.5-turbo": "coder", "org/mistral": "default"}
    server.mount(
        routes(FakeConversations(), model_names=lambda: (MODEL,), aliases=aliases, clock=clock)
    )
    async with server, aiohttp.ClientSession(server.url) as session:
        async with session.get("/v1/models") as response:
            listed = (await response.json())["data"]
        for each in listed:
            async with session.get(f"/v1/models/{each['id']}") as response:
                assert await response.json() == each


async def test_any_other_name_may_stand_for_the_default_model(clock: FakeClock) -> None:
    server = Server(ServerSettings(port=0), Metrics(), always())
    aliases = {"*": "default", "gpt-4o": "coder"}
    server.mount(
        routes(FakeConversations(), model_names=lambda: (MODEL,), aliases=aliases, clock=clock)
    )
    async with server, aiohttp.ClientSession(server.url) as session:
        assert await answered(session, "whatever") == (200, MODEL)
        assert await answered(session, "gpt-4o") == (200, "coder")
        async with session.get("/v1/models") as response:
            assert "*" not in [each["id"] for each in (await response.json())["data"]]


async def answered(session: aiohttp.ClientSession, model: str) -> tuple[int, str]:
    """The status, and the model that answered or the error's sentence."""
    data = {"messages": [{"role": "user", "content": "Hi"}], "model": model}
    async with session.post("/v1/chat/completions", json=data) as response:
        body = await response.json()
        return response.status, body.get("model") or body["error"]["message"]


EVERYWHERE = {
    "/v1/models/coder": {},
    "/v1/completions": {"prompt": "Hi"},
    "/v1/responses": {"input": "Hi"},
    "/v1/embeddings": {"input": "Hi"},
    "/tokenize": {"content": "Hi"},
}


async def test_while_the_model_loads_a_personality_is_asked_for_too_early_not_in_vain(
    clock: FakeClock,
) -> None:
    late = LateConversations()
    server = Server(ServerSettings(port=0), Metrics(), always())
    server.mount(routes(late, model_names=lambda: (MODEL,), clock=clock))
    async with server, aiohttp.ClientSession(server.url) as session:
        for name in ("coder", MODEL):
            status, said = await answered(session, name)
            assert (status, said) == (503, str(StillLoading()))
        for path, asked in EVERYWHERE.items():
            data = {"model": "coder", **asked}
            async with session.request("POST" if asked else "GET", path, json=data) as response:
                said = (await response.json())["error"]["message"]
                assert (path, response.status, said) == (path, 503, str(StillLoading()))
        late.arrive(FakeConversations())
        assert await answered(session, "coder") == (200, "coder")

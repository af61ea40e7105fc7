"""Several models behind one address."""

from __future__ import annotations

import aiohttp

from adapters.http.openai import routes
from bot.metrics import Metrics
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

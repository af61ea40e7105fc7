"""Clients that vanish, read slowly, or come all at once."""

from __future__ import annotations

import asyncio
import json
import socket
from collections import Counter

import aiohttp
import openai
import pytest

from bot.generation import Delta, Finished, FinishReason
from bot.server import Server
from tests.adapters.http.conftest import MODEL, Connect, Serve
from tests.fakes.clock import FakeClock, settle
from tests.fakes.conversations import FakeConversations, ScriptedGeneration

SOON = 5.0


CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
BODIES: dict[str, dict[str, object]] = {
    CHAT: {"messages": [{"role": "user", "content": "Hi"}]},
    RESPONSES: {"input": "Hi"},
    "/v1/completions": {"prompt": ["Hi", "Ho"]},
}


def request_bytes(*, stream: bool, path: str = CHAT) -> bytes:
    body = json.dumps({**BODIES[path], "stream": stream})
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return f"{head}{body}".encode()


async def open_raw(
    server: Server, *, stream: bool, path: str = CHAT
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request_bytes(stream=stream, path=path))
    await writer.drain()
    return reader, writer


async def until_cancelled(generation: ScriptedGeneration) -> None:
    await asyncio.wait_for(generation.cancelled.wait(), SOON)


@pytest.mark.parametrize("path", [CHAT, RESPONSES])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("script", [(), (Delta("Hel"),)])
async def test_a_client_that_vanishes_frees_its_place(
    serve: Serve, stream: bool, script: tuple[Delta, ...], path: str
) -> None:
    conversations = FakeConversations(script)
    server = await serve(conversations)
    _, writer = await open_raw(server, stream=stream, path=path)
    generation = await conversations.begun()
    assert generation.is_running
    writer.transport.abort()
    await until_cancelled(generation)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("script", [(), (Delta("Hel"),)])
async def test_a_client_that_vanishes_frees_the_places_of_all_its_prompts(
    serve: Serve, stream: bool, script: tuple[Delta, ...]
) -> None:
    conversations = FakeConversations(script)
    server = await serve(conversations)
    _, writer = await open_raw(server, stream=stream, path="/v1/completions")
    generations = [await conversations.begun(number) for number in (1, 2)]
    writer.transport.abort()
    for generation in generations:
        await until_cancelled(generation)


async def test_a_client_that_closes_politely_frees_its_place_too(
    serve: Serve, connect: Connect
) -> None:
    conversations = FakeConversations([Delta("Hel")])
    client = connect(await serve(conversations))
    stream = await client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "Hi"}], stream=True
    )
    await anext(stream)
    await stream.close()
    await until_cancelled(await conversations.begun())


async def flood(generation: ScriptedGeneration) -> int:
    """Say more than any socket holds."""
    for _ in range(64):
        generation.say(Delta("x" * 262_144))
        await settle()
    return 64 * 262_144


async def small_reader(server: Server) -> socket.socket:
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(client, ("127.0.0.1", server.port))
    await loop.sock_sendall(client, request_bytes(stream=True))
    return client


async def test_a_client_that_stops_reading_is_hung_up_on(serve: Serve, clock: FakeClock) -> None:
    conversations = FakeConversations(())
    server = await serve(conversations)
    with await small_reader(server):
        generation = await conversations.begun()
        await flood(generation)
        await clock.advance(20.0)
        assert generation.is_running
        await clock.advance(20.0)
        await until_cancelled(generation)


async def test_a_slow_reader_holds_up_nobody_and_gets_everything(
    serve: Serve, connect: Connect
) -> None:
    conversations = FakeConversations(())
    server = await serve(conversations)
    loop = asyncio.get_running_loop()
    with await small_reader(server) as slow:
        generation = await conversations.begun()
        num_said = await flood(generation)
        conversations.script = (Delta("quick"), Finished(FinishReason.STOP))
        other = await connect(server).chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "Hi"}]
        )
        assert other.choices[0].message.content == "quick"
        generation.say(Finished(FinishReason.STOP))
        received = bytearray()
        while b"[DONE]" not in received[-200:]:
            received += await loop.sock_recv(slow, 1 << 20)
    assert received.count(b"x") >= num_said


async def test_500_requests_at_once_are_answered_or_told_to_wait_and_none_is_lost(
    serve: Serve,
) -> None:
    conversations = FakeConversations((), max_running=32)
    server = await serve(conversations)
    body = {"messages": [{"role": "user", "content": "Hi"}]}

    async def ask(session: aiohttp.ClientSession) -> tuple[int, str | None]:
        url = f"{server.url}/v1/chat/completions"
        async with session.post(url, json=body) as response:
            await response.json()
            return response.status, response.headers.get("Retry-After")

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        asking = [asyncio.create_task(ask(session)) for _ in range(500)]
        while sum(task.done() for task in asking) < 468:
            await asyncio.wait(
                [task for task in asking if not task.done()], return_when="FIRST_COMPLETED"
            )
        assert len(conversations.generations) == 32
        for generation in conversations.generations:
            generation.say(Delta("Hello"), Finished(FinishReason.STOP))
        answers = Counter(await asyncio.gather(*asking))
    assert answers == {(200, None): 32, (429, "3"): 468}


async def test_a_server_that_closes_lets_nobody_hang(serve: Serve, connect: Connect) -> None:
    conversations = FakeConversations([Delta("Hel")])
    server = await serve(conversations)
    stream = await connect(server).chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "Hi"}], stream=True
    )
    await anext(stream)
    await server.__aexit__(None, None, None)
    await until_cancelled(await conversations.begun())
    with pytest.raises(openai.APIError):
        await anext(stream)

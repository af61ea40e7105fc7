"""Each contract that Parley serves to programs, asked in the manner of its own clients."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from tests.scenarios.parley import POLL_SECONDS

Json = dict[str, Any]
Ask = Callable[[aiohttp.ClientSession, str], Coroutine[Any, Any, str]]


class ComeAgain(Exception):
    """Told to come again, in the contract's own manner."""


@dataclass(frozen=True)
class Contract:
    """``ask``: the text of the answer to a question, or ``ComeAgain``; whatever else happens
    fails. ``route``: as the usage log has it. ``leaves_late``: a client that has gone is noticed
    only when it does not come back.
    """

    name: str
    route: str
    ask: Ask
    leaves_late: bool = False

    def __str__(self) -> str:
        return self.name


def _user(question: str) -> list[Json]:
    return [{"role": "user", "content": question}]


def _check_postponed(sentence: str, headers: Mapping[str, str]) -> None:
    seconds = int(headers["Retry-After"])
    assert f"try again in {seconds} s" in sentence
    raise ComeAgain(sentence)


def _openai(path: str, body: Callable[[str], Json], text: Callable[[Json], str]) -> Ask:
    async def ask(client: aiohttp.ClientSession, question: str) -> str:
        async with client.post(path, json=body(question)) as response:
            answer = await response.json()
            if response.status == 429:
                _check_postponed(answer["error"]["message"], response.headers)
            assert response.status == 200, answer
            return text(answer)

    return ask


def _streamed(path: str, body: Callable[[str], Json], text: Callable[[Json], str]) -> Ask:
    async def ask(client: aiohttp.ClientSession, question: str) -> str:
        async with client.post(path, json={**body(question), "stream": True}) as response:
            if response.status == 429:
                _check_postponed((await response.json())["error"]["message"], response.headers)
            assert response.status == 200
            lines = [line async for line in response.content if line.startswith(b"data: {")]
            return "".join(text(json.loads(line.removeprefix(b"data: "))) for line in lines)

    return ask


def _geniusrise(path: str, body: Callable[[str], Json], text: Callable[[Json], str]) -> Ask:
    """An exception comes with the status 200."""

    async def ask(client: aiohttp.ClientSession, question: str) -> str:
        async with client.post(path, json=body(question)) as response:
            answer = await response.json()
            assert response.status == 200, answer
            if "error" in answer:
                _check_postponed(answer["error"], response.headers)
            return text(answer)

    return ask


async def _text(client: aiohttp.ClientSession, question: str) -> str:
    async with client.get("/gpt/assistant", params={"prompt": question}) as response:
        assert response.status == 200
        return await response.text()


async def _socket(client: aiohttp.ClientSession, question: str) -> str:
    frames = []
    async with client.ws_connect("/gpt-socket/assistant") as socket:
        await socket.send_str(question)
        while not (frame := await socket.receive_str()).startswith("<END "):
            frames.append(frame)
    return "".join(frames)


async def _work(client: aiohttp.ClientSession, question: str) -> str:
    async with client.post("/toil/assistant", json={"prompt": question}) as response:
        answer = await response.json()
        if response.status == 429:
            _check_postponed(answer["error"], response.headers)
        assert response.status == 200, answer
        return json.dumps(answer)


async def _command(client: aiohttp.ClientSession, question: str) -> str:
    async def post(path: str, **fields: str) -> Json:
        async with client.post(f"/v1/{path}", data=fields) as response:
            assert response.status == 200
            answer: Json = await response.json()
            return answer

    begun = await post("text/chat", prompt=question)
    if not begun["success"]:
        assert "please try again in" in begun["error"]
        raise ComeAgain(begun["error"])
    while True:
        state = await post("LlamaChat/get_command_status", commandId=begun["commandId"])
        if state["commandStatus"] == "completed":
            assert state["success"], state
            reply: str = state["reply"]
            return reply
        await asyncio.sleep(POLL_SECONDS)


def _chat(question: str) -> Json:
    return {"messages": _user(question)}


def _message(answer: Json) -> str:
    text: str = answer["choices"][0]["message"]["content"]
    return text


def _delta(chunk: Json) -> str:
    return "".join(choice["delta"].get("content") or "" for choice in chunk["choices"])


def _choice(answer: Json) -> str:
    return "".join(choice["text"] for choice in answer["choices"])


def _output(answer: Json) -> str:
    texts = (part["text"] for item in answer["output"] for part in item["content"])
    return "".join(texts)


def _output_delta(event: Json) -> str:
    return event["delta"] if event["type"] == "response.output_text.delta" else ""


def _prompt(question: str) -> Json:
    return {"prompt": question}


def _input(question: str) -> Json:
    return {"input": question}


def _result(answer: Json) -> str:
    text: str = answer["result"]
    return text


_CHAT, _TEXT, _RESPONSES = "/v1/chat/completions", "/v1/completions", "/v1/responses"
_PIPELINE, _VLLM, _LLAMA = (f"/api/v1/{name}" for name in ("chat", "chat_vllm", "chat_llama_cpp"))

CONTRACTS = (
    Contract("openai-chat", _CHAT, _openai(_CHAT, _chat, _message)),
    Contract("openai-chat-streamed", _CHAT, _streamed(_CHAT, _chat, _delta)),
    Contract("openai-completions", _TEXT, _openai(_TEXT, _prompt, _choice)),
    Contract("openai-completions-streamed", _TEXT, _streamed(_TEXT, _prompt, _choice)),
    Contract("openai-responses", _RESPONSES, _openai(_RESPONSES, _input, _output)),
    Contract("openai-responses-streamed", _RESPONSES, _streamed(_RESPONSES, _input, _output_delta)),
    Contract("geniusrise", _PIPELINE, _geniusrise(_PIPELINE, _prompt, _result)),
    Contract("geniusrise-vllm", _VLLM, _geniusrise(_VLLM, _chat, _message)),
    Contract("geniusrise-llama-cpp", _LLAMA, _geniusrise(_LLAMA, _chat, _message)),
    Contract("csps-text", "/gpt/{personality}", _text),
    Contract("csps-socket", "/gpt-socket/{personality}", _socket),
    Contract("csps-json", "/toil/{personality}", _work),
    Contract("codeproject", "/v1/text/chat", _command, leaves_late=True),
)

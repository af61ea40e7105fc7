"""A server that speaks OpenAI's chat API on a real socket, and fails as it is told.

    async with FakeModelServer() as server:
        server.script += [status(500), says("Hel", "lo")]    # what the next calls get

It is strict about what it is asked: what breaks the API's rules is in ``violations``, and
leaving fails if there are any.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Self

from aiohttp import web

Json = dict[str, Any]
Behaviour = Callable[[web.Request, Json], Awaitable[web.StreamResponse]]

MODEL = "fake-model"
_KNOWN = {
    *("model", "messages", "stream", "stream_options", "max_tokens", "temperature", "top_p"),
    *("seed", "frequency_penalty", "presence_penalty", "stop"),
    *("logit_bias", "logprobs", "top_logprobs", "response_format"),
    *("tools", "tool_choice", "parallel_tool_calls"),
}
_RAW = _KNOWN - {"messages", "top_logprobs"} | {"prompt", "suffix"}
_CONTINUES = {"continue_final_message", "add_generation_prompt"}
_VLLM = {"cache_salt", "top_k", "min_p", "repetition_penalty", *_CONTINUES}


class FakeModelServer:
    """``asked``, ``headers``: of the calls. ``num_listed``: calls for the list of its models.

    ``num_hung_up``: clients that left before the end.
    """

    def __init__(
        self,
        *,
        models: tuple[str, ...] = (MODEL,),
        window: int | None = None,
        key: str | None = None,
        counts: bool = False,
    ) -> None:
        self.models = models
        self.window = window
        self.key = key
        self.counts = counts
        self.script: deque[Behaviour] = deque()
        self.otherwise: Behaviour = says("ok")
        self.asked: list[Json] = []
        self.headers: list[Mapping[str, str]] = []
        self.num_listed = 0
        self.num_counted = 0
        self.num_running = 0
        self.most_running = 0
        self.num_hung_up = 0
        self.violations: list[str] = []
        self.url = ""
        app = web.Application(client_max_size=16 << 20)
        app.add_routes(
            [
                web.get("/v1/models", self._list),
                web.post("/v1/chat/completions", self._complete),
                web.post("/v1/completions", self._complete),
                web.post("/tokenize", self._tokenize),
                web.post("/detokenize", self._detokenize),
                web.post("/v1/embeddings", self._embed),
            ]
        )
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._runner.cleanup()
        assert self.violations == []

    async def _list(self, request: web.Request) -> web.Response:
        self.num_listed += 1
        if refused := self._refused(request):
            return refused
        window = {"max_model_len": self.window} if self.window else {}
        return web.json_response({"data": [{"id": name, **window} for name in self.models]})

    async def _tokenize(self, request: web.Request) -> web.Response:
        """As vLLM's: a word is a token."""
        if not self.counts:
            raise web.HTTPNotFound
        self.num_counted += 1
        body = await request.json()
        words = body["prompt"].split()
        return web.json_response({"count": len(words), "tokens": [len(word) for word in words]})

    async def _detokenize(self, request: web.Request) -> web.Response:
        """A token is as many letters as its number."""
        if not self.counts:
            raise web.HTTPNotFound
        body = await request.json()
        return web.json_response({"prompt": " ".join("x" * n for n in body["tokens"])})

    async def _embed(self, request: web.Request) -> web.StreamResponse:
        """As the script says; else it makes none, as most servers of chats."""
        body = await request.json()
        self.asked.append(body)
        if not self.script:
            raise web.HTTPNotFound
        return await self.script.popleft()(request, body)

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        if refused := self._refused(request):
            return refused
        body = await request.json()
        if body.get("messages") == []:
            return web.json_response({"error": {"message": "messages: too short."}}, status=400)
        self.asked.append(body)
        self.headers.append(request.headers)
        self._check(body)
        self.num_running += 1
        self.most_running = max(self.most_running, self.num_running)
        try:
            behaviour = self.script.popleft() if self.script else self.otherwise
            return await behaviour(request, body)
        except (asyncio.CancelledError, ConnectionResetError):
            self.num_hung_up += 1
            raise
        finally:
            self.num_running -= 1

    def _refused(self, request: web.Request) -> web.Response | None:
        if self.key is None or request.headers.get("Authorization") == f"Bearer {self.key}":
            return None
        return web.json_response({"error": {"message": "Wrong key."}}, status=401)

    def _check(self, body: Json) -> None:
        unknown = (
            body.keys() - (_RAW if "prompt" in body else _KNOWN) - (_VLLM if self.counts else set())
        )
        if unknown:
            self.violations.append(f"OpenAI's API has no {unknown}")
        if body["model"] not in self.models:
            self.violations.append(f"there is no model {body['model']!r}")
        usage = body.get("stream_options") == {"include_usage": True}
        if usage != body["stream"] or (not usage and body["max_tokens"] != 1):
            self.violations.append("only why a stream broke is asked for without a stream")
        if "prompt" in body:
            return
        last = ("assistant",) if body.get("continue_final_message") else ("user", "tool")
        if body["messages"][-1]["role"] not in last or body["max_tokens"] < 1:
            self.violations.append(f"nobody asks like this: {body}")


def chunk(text: str | None = None, reason: str | None = None) -> Json:
    delta = {} if text is None else {"content": text}
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}


def probable(text: str, *logprobs: Json) -> Json:
    """A chunk with the probabilities of its tokens."""
    written = chunk(text)
    written["choices"][0]["logprobs"] = {"content": list(logprobs)}
    return written


def event(data: Json) -> bytes:
    return f"data: {json.dumps(data)}\n\n".encode()


async def _begin(request: web.Request, *texts: str) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for text in texts:
        await response.write(event(chunk(text)))
    return response


def says(*texts: str, reason: str = "stop", usage: tuple[int, int] | None = None) -> Behaviour:
    """A whole reply; ``usage``: tokens of the prompt and of the reply."""

    async def answer(request: web.Request, _body: Json) -> web.StreamResponse:
        response = await _begin(request, *texts)
        await response.write(event(chunk(reason=reason)))
        if usage:
            numbers = dict(zip(("prompt_tokens", "completion_tokens"), usage, strict=True))
            await response.write(event({"choices": [], "usage": numbers}))
        await response.write(b"data: [DONE]\n\n")
        return response

    return answer


def waits_for(gate: asyncio.Event, *texts: str) -> Behaviour:
    """Begins with ``texts``, and ends when the gate opens."""

    async def answer(request: web.Request, body: Json) -> web.StreamResponse:
        response = await _begin(request, *texts)
        await gate.wait()
        await response.write(event(chunk(" end", "stop")) + b"data: [DONE]\n\n")
        return response

    return answer


def status(number: int, body: object = None, headers: Mapping[str, str] | None = None) -> Behaviour:
    async def answer(_request: web.Request, _body: Json) -> web.StreamResponse:
        said = body if body is not None else {"error": {"message": "no"}}
        return web.json_response(said, status=number, headers=headers)

    return answer


def drops(*texts: str) -> Behaviour:
    """The connection breaks after ``texts``."""

    async def answer(request: web.Request, _body: Json) -> web.StreamResponse:
        response = await _begin(request, *texts) if texts else web.StreamResponse()
        assert request.transport
        request.transport.abort()
        return response

    return answer


def falls_silent(*texts: str, pings: bool = False, reason: str | None = None) -> Behaviour:
    """Says ``texts`` and then nothing, but for comments if it ``pings``; never hangs up."""

    async def answer(request: web.Request, _body: Json) -> web.StreamResponse:
        response = await _begin(request, *texts)
        if reason:
            await response.write(event(chunk(reason=reason)))
        while True:
            if pings:
                await response.write(b": still here\n\n")
            await asyncio.sleep(0.02)

    return answer


def sends(raw: bytes, content_type: str = "text/event-stream") -> Behaviour:
    """Exactly these bytes."""

    async def answer(request: web.Request, _body: Json) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": content_type})
        await response.prepare(request)
        await response.write(raw)
        return response

    return answer

"""vLLM as its documentation describes it, on a real socket; its cache goes by prompt and salt.

What it refuses, it refuses as vLLM does; a key that vLLM ignores with a line in its log is a
violation here.
"""

from __future__ import annotations

from itertools import count
from typing import Any

from aiohttp import web

from tests.fakes.model_server import FakeModelServer, Json, event

MODEL = "Qwen/Qwen3-8B"
_KEYS = {
    *("model", "messages", "stream", "stream_options", "max_tokens", "temperature", "top_p"),
    *("seed", "frequency_penalty", "presence_penalty", "stop", "logit_bias", "logprobs"),
    *("top_logprobs", "response_format", "top_k", "min_p", "repetition_penalty", "cache_salt"),
    *("continue_final_message", "add_generation_prompt"),
}
_NO_SALT = (
    "Parameter 'cache_salt' is not supported with this instance of vLLM, which uses engine V0."
)


class VllmServer(FakeModelServer):
    """``salts`` False: one of the versions before the cache could be divided."""

    def __init__(self, *, window: int = 8_192, salts: bool = True) -> None:
        super().__init__(models=(MODEL,), window=window, counts=True)
        self.salts = salts
        self._cached: set[tuple[object, str]] = set()
        self._numbers = count(1)

    async def _tokenize(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body.get("model") not in self.models or "prompt" not in body:
            return _error(404, f"The model `{body.get('model')}` does not exist.", "NotFoundError")
        self.num_counted += 1
        tokens = list(range(len(body["prompt"].split())))
        answer = {"count": len(tokens), "max_model_len": self.window, "tokens": tokens}
        return web.json_response({**answer, "token_strs": None})

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        body: Json = await request.json()
        if problem := self._problem(body):
            return _error(400, problem, "BadRequestError")
        self.asked.append(body)
        self.headers.append(request.headers)
        if unknown := body.keys() - _KEYS:
            self.violations.append(f"vLLM ignores {unknown}")
        return await self._write(request, body)

    def _problem(self, body: Json) -> str:
        salt: Any = body.get("cache_salt")
        if salt is not None and not self.salts:
            return _NO_SALT
        if salt is not None and not (isinstance(salt, str) and salt):
            return "Parameter 'cache_salt' must be a non-empty string if provided."
        if body.get("top_k", -1) == 0:
            return "top_k must be -1 (disable), or at least 1, got 0."
        if body.get("stream_options") and not body.get("stream"):
            return "Stream options can only be defined when `stream=True`."
        return ""

    async def _write(self, request: web.Request, body: Json) -> web.StreamResponse:
        prompt = " ".join(message["content"] for message in body["messages"])
        key = (body.get("cache_salt"), prompt)
        num_tokens = len(prompt.split())
        num_cached = num_tokens if key in self._cached else 0
        self._cached.add(key)
        head = {
            "id": f"chatcmpl-{next(self._numbers)}",
            "object": "chat.completion.chunk",
            "created": 1_700_000_000,
            "model": MODEL,
        }
        usage = {
            "prompt_tokens": num_tokens,
            "total_tokens": num_tokens + 2,
            "completion_tokens": 2,
            "prompt_tokens_details": {"cached_tokens": num_cached},
        }
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        for delta, reason in _DELTAS:
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
            await response.write(event({**head, "choices": [choice]}))
        await response.write(event({**head, "choices": [], "usage": usage}))
        await response.write(b"data: [DONE]\n\n")
        return response


_DELTAS: tuple[tuple[Json, str | None], ...] = (
    ({"role": "assistant", "content": ""}, None),
    ({"content": "Hel"}, None),
    ({"content": "lo"}, None),
    ({"content": ""}, "stop"),
)


def _error(status: int, message: str, kind: str) -> web.Response:
    error = {"message": message, "type": kind, "param": None, "code": status}
    return web.json_response({"error": error}, status=status)

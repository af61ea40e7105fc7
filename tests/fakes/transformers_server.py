"""``transformers serve`` as its documentation and its refusals describe it, on a real socket.

As seen of 5.23 with a tiny model, and of older versions in their source. Its stream has no
``[DONE]``: the usage comes with the last chunk, the role alone in the first.
"""

from __future__ import annotations

from aiohttp import web

from tests.fakes.model_server import FakeModelServer, Json, event

MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"
_TAKEN = {
    *("model", "messages", "stream", "max_tokens", "temperature", "top_p", "seed", "logit_bias"),
    *("stop", "frequency_penalty", "generation_config", "tools"),
}
_NOT_USED = {
    *("audio", "function_call", "functions", "logprobs", "max_completion_tokens", "metadata"),
    *("modalities", "n", "parallel_tool_calls", "prediction", "presence_penalty"),
    *("reasoning_effort", "response_format", "service_tier", "store", "stream_options"),
    *("tool_choice", "top_logprobs", "user", "web_search_options"),
}


class TransformersServer(FakeModelServer):
    """Keys that it does not use ``older`` versions refuse; newer ones ignore them, which is a
    violation here. ``fails``: within the next answer.
    """

    def __init__(self, *, models: tuple[str, ...] = (MODEL,), older: bool = False) -> None:
        super().__init__(models=models)
        self.fails = ""
        self._older = older

    async def _list(self, request: web.Request) -> web.Response:
        """What is on its disk; it answers with any other model of the hub as well."""
        data = [
            {"id": name, "object": "model", "owned_by": name.partition("/")[0], "created": 1.5e9}
            for name in self.models
        ]
        return web.json_response({"object": "list", "data": data})

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        body: Json = await request.json()
        if unexpected := body.keys() - _TAKEN - _NOT_USED:
            name = "keys" if self._older else "fields"
            return _refusal(f"Unexpected {name} in the request: {unexpected}")
        unused = body.keys() & _NOT_USED
        if unused and self._older:
            return _refusal(f"Unsupported fields in the request: {unused}")
        if unused:
            self.violations.append(f"it ignores {unused}")
        self.asked.append(body)
        return await self._write(request, body)

    async def _write(self, request: web.Request, body: Json) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        await response.write(_chunk(body, {"role": "assistant"}))
        for text in ("Hel", "lo"):
            await response.write(_chunk(body, {"content": text}))
        if self.fails:
            await response.write(f'data: {{"error": "{self.fails}"}}\n\n'.encode())
            return response
        usage = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}
        reason = "length" if body["max_tokens"] <= 3 else "stop"
        await response.write(_chunk(body, {}, finish_reason=reason, usage=usage))
        return response


def _refusal(sentence: str) -> web.Response:
    return web.json_response({"detail": sentence}, status=422)


def _chunk(
    body: Json, delta: Json, *, finish_reason: str | None = None, usage: Json | None = None
) -> bytes:
    """Without keys whose value is null."""
    reason = {} if finish_reason is None else {"finish_reason": finish_reason}
    return event(
        {
            "id": "req",
            "object": "chat.completion.chunk",
            "created": 1_700_000_000,
            "model": f"{body['model']}@main",
            "system_fingerprint": "",
            "choices": [{"index": 0, "delta": delta, **reason}],
            **({} if usage is None else {"usage": usage}),
        }
    )

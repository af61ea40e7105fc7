"""One question from the command line to a running Parley, over its HTTP API."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any

import aiohttp

from bot.errors import EngineFailed, ParleyError, RequestError

_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=5.0)
_DATA = b"data:"
_END = b"data: [DONE]"
_BROKE_OFF = "The reply broke off, since the running Parley stopped; please ask again."


async def ask_running(
    url: str, key: str, question: str, personality: str
) -> AsyncGenerator[str, None]:
    """The reply as it grows. Closing early closes the connection, which stops the reply."""
    body = {
        "model": personality,
        "messages": [{"role": "user", "content": question}],
        "stream": True,
    }
    headers = {"Authorization": f"Bearer {key}"}
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT, headers=headers) as client,
            client.post(f"{url}/v1/chat/completions", json=body) as response,
        ):
            if response.status != 200:
                raise RequestError(_message(await response.read(), response.status))
            async for line in response.content:
                if line.strip() == _END:
                    return
                if text := _text(line):
                    yield text
            raise EngineFailed(_BROKE_OFF)
    except aiohttp.ClientError as error:
        raise ParleyError(f"The running Parley at {url} does not answer: {error}.") from error


def _message(body: bytes, status: int) -> str:
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, LookupError, TypeError):
        return f"The running Parley answered with HTTP status {status}."


def _text(line: bytes) -> str:
    """The text in one line of the event stream; most lines carry none."""
    if not line.startswith(_DATA):
        return ""
    event: dict[str, Any] = json.loads(line.removeprefix(_DATA))
    if "error" in event:
        raise EngineFailed(event["error"]["message"])
    choices = event.get("choices") or [{}]
    return choices[0].get("delta", {}).get("content") or ""

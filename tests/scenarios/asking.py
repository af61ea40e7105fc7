"""A program that talks to a running Parley over HTTP, and looks at its metrics."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from tests.scenarios.parley import POLL_SECONDS, Parley

PATIENCE = 30.0
JSON = {"Content-Type": "application/json"}

Json = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    status: int
    body: Json
    headers: Mapping[str, str]

    @property
    def text(self) -> str:
        text: str = self.body["choices"][0]["message"]["content"]
        return text

    @property
    def num_prompt_tokens(self) -> int:
        num_tokens: int = self.body["usage"]["prompt_tokens"]
        return num_tokens

    @property
    def error(self) -> Json:
        error: Json = self.body["error"]
        return error


async def post(
    parley: Parley,
    data: bytes,
    headers: Mapping[str, str] = JSON,
    *,
    session: aiohttp.ClientSession | None = None,
) -> Answer:
    """Raw bytes to ``/v1/chat/completions``."""
    if session is None:
        async with aiohttp.ClientSession() as own:
            return await post(parley, data, headers, session=own)
    url = f"{parley.url}/v1/chat/completions"
    async with session.post(url, data=io.BytesIO(data), headers=headers) as response:
        return Answer(response.status, await response.json(), response.headers)


async def ask(parley: Parley, text: str, **keys: object) -> Answer:
    return await post(parley, body(text, **keys))


def body(text: str, **keys: object) -> bytes:
    messages = [{"role": "user", "content": text}]
    return json.dumps({"messages": messages, "temperature": 0, **keys}).encode()


async def metric(parley: Parley, name: str, **labels: str) -> float:
    """The sum over the other labels."""
    async with (
        aiohttp.ClientSession(headers=parley.own_key) as session,
        session.get(f"{parley.url}/metrics") as answer,
    ):
        answer.raise_for_status()
        text = await answer.text()
    families = text_string_to_metric_families(text)
    found = (one for family in families for one in family.samples if one.name == name)
    return sum(one.value for one in found if labels.items() <= one.labels.items())


async def until_metric(parley: Parley, name: str, is_so: Callable[[float], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            if is_so(await metric(parley, name)):
                return
            await asyncio.sleep(POLL_SECONDS)

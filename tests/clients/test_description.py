"""/openapi.json before those who know it better: its validator, and a program that asks all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import aiohttp
import pytest

from adapters.http.routes import MANNERS, routes
from bot.clock import SystemClock
from bot.errors import RequestError
from bot.generation import AnyPrompt, RawPrompt
from bot.metrics import Metrics
from bot.server import Server, ServerSettings
from tests.bot.talk import talking
from tests.clients.environment import execute
from tests.fakes.generator import ScriptedGenerator
from tests.fakes.readiness import always

CONFIG = Path(__file__).with_name("schemathesis.toml")
REPLY = "{}"
"""Text that is JSON, too, for whoever asks for that."""


class ReadableGenerator(ScriptedGenerator):
    """Its tokens are the bytes of UTF-8, of which numbers from 256 on are none."""

    async def tokenize(self, prompt: AnyPrompt) -> list[int]:
        if isinstance(prompt, RawPrompt):
            content = prompt.content
            return list(content.encode() if isinstance(content, str) else content)
        return list("".join(message.content for message in prompt).encode())

    async def texts(self, tokens: Sequence[int]) -> list[bytes]:
        return [bytes([_as_byte(token)]) for token in tokens]

    async def detokenize(self, tokens: Sequence[int], *, shows_special: bool = True) -> str:
        return b"".join(await self.texts(tokens)).decode("utf-8", "replace")


def _as_byte(token: int) -> int:
    if token > 255:
        raise RequestError(f"There is no token {token}.")
    return token


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    """The conversations are real, the model is scripted."""
    async with talking(tmp_path / "data", generator=ReadableGenerator()) as talk:
        talk.generator.replies.extend([REPLY] * 10_000)
        server = Server(ServerSettings(port=0), Metrics(), always())
        found = routes(talk.service, model_names=lambda: ("smollm2",), clock=SystemClock())
        server.mount(found, manners=MANNERS)
        async with server:
            yield server


async def test_it_is_valid_openapi(server: Server, tmp_path: Path) -> None:
    async with aiohttp.ClientSession() as session, session.get(f"{server.url}/openapi.json") as got:
        (tmp_path / "openapi.json").write_bytes(await got.read())
    code, said = await execute(tmp_path, "-m", "openapi_spec_validator", "openapi.json")
    assert code == 0, said


async def test_whatever_is_asked_is_answered_as_described(server: Server, tmp_path: Path) -> None:
    """A status of 5xx, an undescribed status and a body of another form are failures."""
    program = ("-m", "schemathesis.cli", "--config-file", str(CONFIG))
    code, said = await execute(
        tmp_path, *program, "run", f"{server.url}/openapi.json", "--no-color"
    )
    assert code == 0, said
    assert "Coverage" in said

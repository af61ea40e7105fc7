"""The module for CodeProject.AI Server, on its real SDK: a stand-in for that server asks it."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from adapters.http.routes import routes
from bot.clock import SystemClock
from bot.errors import QueueFull
from bot.generation import CompletionRequest, Delta, Finished, FinishReason, GenerationEvent
from bot.metrics import Metrics
from bot.server import Server, ServerSettings
from tests.adapters.http.conftest import MODEL
from tests.fakes.conversations import FakeConversations, ScriptedGeneration
from tests.fakes.readiness import always
from tests.lacking import skip_for_lack
from tests.venvs import PackagesMissing, ensure_venv

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROOT = Path(__file__).parents[4]
MODULE = ROOT / "deploy" / "codeproject-ai"
VENV = ROOT / ".cache" / "codeproject-ai-venv"
KEY = "secret"
SECONDS = 60.0

Json = dict[str, Any]
SCRIPTS: dict[str, tuple[GenerationEvent, ...]] = {
    "story": (Delta("Once upon"),),
    "fail": (Delta("He"), Finished(FinishReason.ERROR)),
}


class ModuleServer:
    """CodeProject.AI Server as its modules see it: a queue of requests, and a way to answer."""

    def __init__(self) -> None:
        self._requests: asyncio.Queue[str] = asyncio.Queue()
        self._answers: dict[str, asyncio.Future[Json]] = {}
        self.app = web.Application()
        self.app.add_routes(
            [
                web.get("/v1/queue/llamachat_queue", self._next),
                web.post("/v1/queue/updatemodulestatus/{module}", self._ignore),
                web.post("/v1/queue/{request}", self._take),
                web.post("/v1/log/", self._ignore),
            ]
        )

    async def ask(self, command: str, **values: str) -> Json:
        number = f"request-{len(self._answers)}"
        self._answers[number] = asyncio.get_running_loop().create_future()
        listed = [{"key": key, "value": [value]} for key, value in values.items()]
        payload = {"queue": "llamachat_queue", "command": command, "values": listed, "files": []}
        self._requests.put_nowait(json.dumps({"reqid": number, "payload": payload}))
        async with asyncio.timeout(SECONDS):
            return await self._answers[number]

    async def status(self, command_id: str) -> Json:
        return await self.ask("get_command_status", commandId=command_id)

    async def completed(self, command_id: str) -> Json:
        while (status := await self.status(command_id))["commandStatus"] == "running":
            pass
        return status

    async def _next(self, request: web.Request) -> web.Response:
        return web.Response(text=await self._requests.get())

    async def _take(self, request: web.Request) -> web.Response:
        self._answers[request.match_info["request"]].set_result(json.loads(await request.read()))
        return web.Response()

    async def _ignore(self, request: web.Request) -> web.Response:
        return web.Response()


class Stories(FakeConversations):
    """A story goes on until it is stopped; anything else is answered at once, or refused."""

    async def complete(self, request: CompletionRequest) -> ScriptedGeneration:
        question = request.messages[-1].content
        self.refusal = QueueFull(3.0) if question == "busy" else None
        self.script = SCRIPTS.get(question, (Delta("Hello"), Finished(FinishReason.STOP)))
        return await super().complete(request)


@pytest.fixture(scope="module")
def python() -> Path:
    try:
        return ensure_venv(VENV, MODULE / "requirements.txt", "CodeProject.AI's SDK (70 MB)")
    except PackagesMissing as reason:
        skip_for_lack(str(reason))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stories() -> Stories:
    return Stories()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def parley(stories: Stories) -> AsyncIterator[Server]:
    settings = ServerSettings(port=0, api_keys={"module": KEY}, is_public=True)
    server = Server(settings, Metrics(), always())
    server.mount(routes(stories, model_names=lambda: (MODEL,), clock=SystemClock()))
    async with server:
        yield server


def environ(folder: Path, parley_url: str, port: int = 1) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "CPAI_PORT": str(port),
        "CPAI_MODULE_PATH": str(MODULE),
        "CPAI_MODULE_PARALLELISM": "1",
        "CPAI_MODULE_LLAMA_PARLEY_URL": parley_url,
        "CPAI_MODULE_LLAMA_PARLEY_KEY": KEY,
        "PYTHONDONTWRITEBYTECODE": "1",
    }


async def started(python: Path, *arguments: str, **options: Any) -> asyncio.subprocess.Process:
    adapter = str(MODULE / "llama_chat_adapter.py")
    return await asyncio.create_subprocess_exec(str(python), adapter, *arguments, **options)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def inner(
    python: Path, parley: Server, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ModuleServer]:
    """Its server, with the module at work."""
    folder = tmp_path_factory.mktemp("module")
    server = ModuleServer()
    async with TestServer(server.app) as at:
        assert at.port
        options: dict[str, Any] = {"stdout": asyncio.subprocess.DEVNULL}
        process = await started(
            python, cwd=folder, env=environ(folder, parley.url, at.port), **options
        )
        try:
            yield server
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def test_a_command_goes_through_both_servers(inner: ModuleServer, stories: Stories) -> None:
    begun = await inner.ask("prompt", prompt="Hi", system_prompt="Be kind.", max_tokens="9")
    assert begun["message"] == "Command is running in the background"
    assert (begun["moduleId"], begun["commandStatus"]) == ("LlamaChat", "running")
    done = await inner.completed(begun["commandId"])
    assert (done["success"], done["stop_reason"], done["reply"]) == (True, "completed", "Hello")
    assert done["message"] == "Command has completed"
    assert done["commandId"] == begun["commandId"]
    assert done["processMs"] >= done["inferenceMs"] >= 0
    request = stories.requests[-1]
    assert [message.content for message in request.messages] == ["Be kind.", "Hi"]
    assert (request.account, request.max_tokens) == ("module", 9)
    assert request.sampling == {"temperature": 0.4}


async def test_stop_in_the_middle_keeps_the_text_so_far(
    inner: ModuleServer, stories: Stories
) -> None:
    begun = await inner.ask("prompt", prompt="story")
    command_id = begun["commandId"]
    async with asyncio.timeout(SECONDS):
        while (await inner.status(command_id)).get("reply") != "Once upon":
            pass
    cancelled = await inner.ask("cancel_command", commandId=command_id)
    assert cancelled["commandStatus"] == "cancelled"
    done = await inner.completed(command_id)
    assert (done["success"], done["stop_reason"], done["reply"]) == (True, "cancelled", "Once upon")
    assert stories.generations[-1].cancelled.is_set()


@pytest.mark.parametrize(
    ("prompt", "error", "reply"),
    [
        ("busy", "Too many questions are waiting; please try again in 3 s.", None),
        ("fail", "Unable to generate text", "He"),
    ],
)
async def test_a_failure_arrives_as_a_sentence(
    inner: ModuleServer, prompt: str, error: str, reply: str | None
) -> None:
    begun = await inner.ask("prompt", prompt=prompt)
    done = await inner.completed(begun["commandId"])
    assert (done["success"], done["error"], done["reply"]) == (False, error, reply)


async def test_the_selftest_says_whether_parley_answers(
    python: Path, parley: Server, tmp_path: Path
) -> None:
    async def selftest(**changed: str) -> tuple[int | None, str]:
        process = await started(
            python,
            "--selftest",
            cwd=tmp_path,
            env={**environ(tmp_path, parley.url), **changed},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await asyncio.wait_for(process.communicate(), SECONDS)
        return process.returncode, said.decode()

    nowhere = {"CPAI_MODULE_LLAMA_PARLEY_URL": "http://127.0.0.1:1"}
    stranger = {"CPAI_MODULE_LLAMA_PARLEY_KEY": "wrong"}
    well, away, refused = await asyncio.gather(
        selftest(), selftest(**nowhere), selftest(**stranger)
    )
    assert well == (0, "")
    assert away == (1, "Parley cannot be reached.\n")
    assert refused == (1, "This key is not one of PARLEY_API_KEYS.\n")

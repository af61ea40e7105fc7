"""Two hundred clients at once, and clients that hang up, on every contract for programs.

The engine, the history and the server are the real ones; the model knows letters, so that what
it does can be stopped at any step.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import psutil
import pytest
import pytest_asyncio

from adapters.http.codeproject_ai.commands import PATIENCE_SECONDS
from adapters.http.routes import MANNERS, routes
from bot.access import Access
from bot.attachments.uploads import Uploads
from bot.clock import SystemClock
from bot.conversation import ConversationRules, ConversationService
from bot.generation import Delta
from bot.history import open_store, usage
from bot.inference.core.sequence import Step
from bot.inference.engine.service import InferenceService
from bot.metrics import Metrics
from bot.server import Server, ServerSettings
from bot.stored import TurnState
from tests.bot.talk import book
from tests.fakes.clock import FakeClock, settle
from tests.fakes.conversations import FakeConversations
from tests.fakes.model import FakeModel
from tests.fakes.readiness import always
from tests.scenarios.ancestors import CONTRACTS, ComeAgain, Contract
from tests.scenarios.polling import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

NUM_CLIENTS, NUM_RUNNING, NUM_WAITING = 200, 8, 64
MEGABYTE = 1 << 20
BRIEF = "{}"
"""An answer that every contract takes, also where JSON is asked for."""
LONG, ENDLESS = "Read. " * 50, "Go on and on."
_STUCK_SECONDS, _POLL_SECONDS = 30.0, 0.002


class GatedModel(FakeModel):
    """Computes as many steps as it is let; free at first."""

    def __init__(self, script: Callable[[str], str]) -> None:
        super().__init__(script, num_cells=8_000, num_slots=64)
        self._gate = threading.Condition()
        self._num_allowed: int | None = None
        self.is_held = False

    def let(self, num_steps: int | None) -> None:
        """None: any number, from now on."""
        with self._gate:
            self._num_allowed = num_steps
            self._gate.notify_all()

    def has_written(self, since: int) -> bool:
        """Whether a token was sampled for a reply that had begun, since that many steps."""
        return any(step.num_decode for step in self.steps[since:])

    def run(self, step: Step) -> dict[int, list[int]]:
        with self._gate:
            self.is_held = self._num_allowed == 0
            assert self._gate.wait_for(lambda: self._num_allowed != 0, _STUCK_SECONDS)
            self.is_held = False
            if self._num_allowed is not None:
                self._num_allowed -= 1
        return super().run(step)


class House:
    """A Parley without platforms. ``clock`` is that of the rooms for programs."""

    def __init__(
        self,
        model: GatedModel,
        engine: InferenceService,
        server: Server,
        metrics: Metrics,
        clock: FakeClock,
        database: Path,
    ) -> None:
        self.model = model
        self.engine = engine
        self.server = server
        self.clock = clock
        self._metrics = metrics
        self._database = database

    def metric(self, name: str) -> float:
        return self._metrics.registry.get_sample_value(f"parley_{name}") or 0.0

    async def idle(self) -> None:
        """As the gauges say, for which nobody holds a place any more."""
        gauges = ("running_sequences", "queue_length")
        await soon(lambda: not any(map(self.metric, gauges)))

    async def step(self) -> None:
        num_steps = len(self.model.steps)
        self.model.let(1)
        await soon(lambda: len(self.model.steps) > num_steps)

    async def running(self) -> None:
        """Until a reply has the place; a step after the last one may still be held up."""
        await soon(lambda: self.engine.num_running == 1 or self.model.is_held)
        if self.engine.num_running == 0:
            await self.step()
            await soon(lambda: self.engine.num_running == 1)

    async def num_logged(self, route: str, state: TurnState = TurnState.DONE) -> int:
        rows = await asyncio.to_thread(lambda: list(usage.read(self._database, None)))
        return sum(row.platform == route and row.state is state for row in rows)


Asking = tuple[asyncio.Task[str], ...]
Until = Callable[[House, aiohttp.ClientSession, Contract], Awaitable[Asking]]


async def soon(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(_STUCK_SECONDS):
        while True:
            if condition():
                return
            await asyncio.sleep(_POLL_SECONDS)


def script(prompt: str) -> str:
    return "on and " * 100 if ENDLESS in prompt else BRIEF


@asynccontextmanager
async def opened(folder: Path, *, max_running: int) -> AsyncIterator[House]:
    model, metrics, clock = GatedModel(script), Metrics(), FakeClock()
    system, database = SystemClock(), folder / "parley.db"
    async with AsyncExitStack() as stack:
        store = await open_store(f"sqlite:///{database}", system)
        stack.push_async_callback(store.close)
        engine = InferenceService(
            model, metrics, max_running=max_running, max_waiting=NUM_WAITING, loop_guard=False
        )
        await stack.enter_async_context(engine)
        stack.callback(model.let, None)
        service = ConversationService(
            store=store,
            generator=engine,
            personalities=await asyncio.to_thread(book, folder / "personalities"),
            access=Access(clock=system),
            adapters={},
            clock=system,
            metrics=metrics,
            rules=ConversationRules(),
            uploads=Uploads(folder / "uploads"),
        )
        await service.start()
        stack.push_async_callback(service.close)
        server = Server(ServerSettings(port=0, drain_seconds=0.2), metrics, always())
        server.mount(
            routes(service, model_names=lambda: ("letters",), clock=clock), manners=MANNERS
        )
        await stack.enter_async_context(server)
        yield House(model, engine, server, metrics, clock, database)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def crowded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with opened(tmp_path_factory.mktemp("crowd"), max_running=NUM_RUNNING) as house:
        yield house


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def narrow(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """One reply at a time."""
    async with opened(tmp_path_factory.mktemp("narrow"), max_running=1) as house:
        yield house


def client_of(house: House) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(house.server.url, connector=aiohttp.TCPConnector(limit=0))


CROWDED = (
    *("openai-chat-streamed", "openai-completions", "openai-responses", "geniusrise-vllm"),
    *("csps-socket", "csps-json", "codeproject"),
)
"""One of each kind: they cost a second each."""


@pytest.mark.parametrize("contract", [c for c in CONTRACTS if c.name in CROWDED], ids=str)
async def test_of_200_clients_at_once_none_is_lost(crowded: House, contract: Contract) -> None:
    process = psutil.Process()
    num_logged, before = await crowded.num_logged(contract.route), process.memory_info().rss
    async with client_of(crowded) as client:
        asking = (contract.ask(client, f"Question {number}?") for number in range(NUM_CLIENTS))
        outcomes = await asyncio.gather(*asking, return_exceptions=True)
        answers = [outcome for outcome in outcomes if not isinstance(outcome, ComeAgain)]
        assert set(answers) == {BRIEF}
        assert len(answers) >= NUM_WAITING
        await crowded.idle()
        assert await contract.ask(client, "And now?") == BRIEF
    assert process.memory_info().rss - before < 60 * MEGABYTE
    num_answers = num_logged + len(answers) + 1

    async def is_counted() -> bool:
        return await crowded.num_logged(contract.route) == num_answers

    await eventually(is_counted)


# Clients that hang up


async def until_queued(house: House, client: aiohttp.ClientSession, contract: Contract) -> Asking:
    """Behind a reply that has the only place."""
    ahead = asyncio.create_task(CONTRACTS[0].ask(client, ENDLESS))
    await house.running()
    asking = asyncio.create_task(contract.ask(client, "Question?"))
    await soon(lambda: house.engine.num_waiting == 1)
    return asking, ahead


async def until_prefill(house: House, client: aiohttp.ClientSession, contract: Contract) -> Asking:
    asking = asyncio.create_task(contract.ask(client, f"{contract}. {LONG}"))
    await house.running()
    begun = len(house.model.steps)
    await house.step()
    assert not house.model.has_written(begun)
    return (asking,)


async def until_decode(house: House, client: aiohttp.ClientSession, contract: Contract) -> Asking:
    asking = asyncio.create_task(contract.ask(client, ENDLESS))
    await house.running()
    begun = len(house.model.steps)
    while not house.model.has_written(begun):
        await house.step()
    return (asking,)


@pytest.mark.parametrize("until", [until_queued, until_prefill, until_decode])
@pytest.mark.parametrize("contract", CONTRACTS, ids=str)
async def test_a_client_that_hangs_up_frees_its_place(
    narrow: House, contract: Contract, until: Until
) -> None:
    num_cancelled = narrow.metric("cancelled_total")
    async with client_of(narrow) as client:
        narrow.model.let(0)
        leaving = await until(narrow, client, contract)
        for asking in leaving:
            asking.cancel()
        await asyncio.wait(leaving)
        if contract.leaves_late:
            await narrow.clock.advance(PATIENCE_SECONDS + 1)
        await soon(lambda: narrow.metric("cancelled_total") == num_cancelled + len(leaving))
        narrow.model.let(None)
        await narrow.idle()
        assert await contract.ask(client, "And now?") == BRIEF


STREAMED = [
    ("POST", "/v1/chat/completions", {"messages": [{"role": "user", "content": "Hi"}]}),
    ("POST", "/v1/completions", {"prompt": "Hi"}),
    ("POST", "/v1/responses", {"input": "Hi"}),
    ("POST", "/api/v1/chat_vllm", {"messages": [{"role": "user", "content": "Hi"}]}),
    ("GET", "/gpt/assistant?prompt=Hi", {}),
]


@pytest.mark.parametrize(("method", "path", "body"), STREAMED)
async def test_a_client_that_reads_nothing_is_let_go(
    method: str, path: str, body: dict[str, object]
) -> None:
    conversations, clock = FakeConversations(()), FakeClock()
    server = Server(ServerSettings(port=0, drain_seconds=0.2), Metrics(), always())
    served = routes(conversations, model_names=lambda: ("letters",), clock=clock)
    server.mount(served, manners=MANNERS)
    content = json.dumps({**body, "stream": True}) if body else ""
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    async with server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1_024)
        writer.write(f"{head}{content}".encode())
        generation = await conversations.begun()
        for _ in range(64):  # more than any socket holds
            generation.say(Delta("x" * 262_144))
            await settle()
        assert generation.is_running
        await clock.advance(40.0)
        await asyncio.wait_for(generation.cancelled.wait(), _STUCK_SECONDS)
        writer.close()
    assert not reader.at_eof()

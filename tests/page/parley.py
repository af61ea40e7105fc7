"""A Parley with its page on a free port: all of it real but the model, which a test leads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from adapters.web.context import PageContext
from adapters.web.routes import page_routes
from bot.access import Access
from bot.attachments.uploads import Uploads
from bot.chats import Chats
from bot.clock import SystemClock
from bot.conversation import ConversationRules, ConversationService
from bot.grounding.grounder import Grounder
from bot.history import open_store
from bot.history.summaries import summarise
from bot.metrics import Metrics
from bot.overview import ModelState
from bot.personality import PersonalityBook
from bot.running.overview import Overviews
from bot.server import Server, ServerSettings
from bot.types import AdapterState
from bot.web.sign_ins import SignIns
from tests.fakes.generator import ScriptedGeneration, ScriptedGenerator
from tests.fakes.pages import SEA, FakePages
from tests.fakes.readiness import always

SOON = 15.0
MAX_UPLOAD = 50_000
PERSONALITIES = {
    "assistant": """---
title: Assistant
description: Answers questions.
greeting: Hello, what may I do for you?
suggested_questions:
  - What is a parley?
  - Name three rivers.
reasoning: folded
---
You help.
""",
    "pirate": """---
title: Pirate
description: Arr.
greeting: Ahoy!
---
You are a pirate.
""",
}

ADAPTERS = (
    AdapterState("discord", "up"),
    AdapterState("slack", "down", "The token is not one of Slack's."),
)


async def store_is_up() -> Mapping[str, str]:
    return {"status": "up"}


@dataclass(frozen=True)
class PageParley:
    """``generator`` answers with what it is told to: see ``tests.fakes.generator``."""

    url: str
    port: int
    generator: ScriptedGenerator
    loading: asyncio.Future[Chats]
    service: ConversationService
    book: PersonalityBook
    folder: Path
    pages: FakePages

    def will_say(self, *replies: str) -> None:
        """To the next questions, word by word and at once."""
        self.generator.replies.extend(replies)

    async def asked(self) -> ScriptedGeneration:
        """The next answer that the test leads; there is a question for it soon."""
        async with asyncio.timeout(SOON):
            while (generation := await self.generator.started()).finished:
                pass  # of a test before
        return generation

    def end(self) -> None:
        """Nothing of one test is under way in the next."""
        self.generator.replies.clear()
        self.generator.failures.clear()
        for generation in self.generator.generations:
            generation.cancel()


@asynccontextmanager
async def running_page(
    folder: Path,
    *,
    port: int = 0,
    api_keys: Mapping[str, str] | None = None,
    basic_auth: Mapping[str, str] | None = None,
    is_loading: bool = False,
    window: int = 4096,
) -> AsyncIterator[PageParley]:
    """``is_loading``: the model is not there until ``loading`` gets its result."""
    clock, metrics, generator = SystemClock(), Metrics(), ScriptedGenerator(window)
    pages = FakePages(SEA)
    await asyncio.to_thread(_write_personalities, folder / "personalities")
    book = await asyncio.to_thread(PersonalityBook.load, folder / "personalities", "assistant")
    access = Access(
        allow=(),
        deny=(),
        admins=(),
        direct_messages=True,
        max_in_flight=0,
        per_minute=0,
        clock=clock,
    )
    settings = ServerSettings(
        port=port, api_keys=api_keys or {}, basic_auth=basic_auth or {}, drain_seconds=0.2
    )
    async with AsyncExitStack() as stack:
        store = await open_store(f"sqlite:///{folder / 'parley.db'}", clock)
        stack.push_async_callback(store.close)
        service = ConversationService(
            store=store,
            generator=generator,
            personalities=book,
            access=access,
            adapters={},
            clock=clock,
            metrics=metrics,
            rules=ConversationRules(max_tokens=100, read_pages="everybody"),
            uploads=Uploads(folder / "uploads"),
            grounder=Grounder(metrics, pages),
        )
        stack.push_async_callback(service.close)
        await service.start()
        loading: asyncio.Future[Chats] = asyncio.get_running_loop().create_future()
        if not is_loading:
            loading.set_result(service.chats)
        server = Server(settings, metrics, always(), SignIns(clock))
        overviews = Overviews(
            metrics,
            clock,
            folder,
            model=lambda: ModelState(
                name=generator.name, status="up", device="CPU", window=generator.window
            ),
            database=store_is_up,
            adapters=lambda: ADAPTERS,
            summarise=partial(summarise, folder / "parley.db"),
        )
        overviews.watch(book)
        context = PageContext(
            chats=loading,
            callers=server.callers,
            clock=clock,
            model=lambda: generator.name,
            personalities=book.all,
            personality="assistant",
            is_admin=access.is_admin,
            overview=overviews.read,
            max_files=3,
            max_upload=MAX_UPLOAD,
        )
        server.mount_page(await asyncio.to_thread(page_routes, context))
        await stack.enter_async_context(server)
        yield PageParley(server.url, server.port, generator, loading, service, book, folder, pages)


def _write_personalities(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for name, text in PERSONALITIES.items():
        (folder / f"{name}.md").write_text(text)

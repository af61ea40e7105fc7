"""For commands where no Parley runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from functools import partial

from bot.clock import SystemClock
from bot.config import PLATFORMS, Settings
from bot.errors import EngineFailed
from bot.facts.bases import FactBases
from bot.generation import (
    CompletionRequest,
    Finished,
    FinishReason,
    GenerationEvent,
    GenerationRequest,
    Reasoning,
)
from bot.grounding.choice import SourceChoice
from bot.grounding.fitting import gather_fitting
from bot.grounding.grounder import Grounder, SourcesWanted
from bot.metrics import Metrics
from bot.personality import PersonalityBook
from bot.ports import EngineGeneration, generator_of
from bot.prompt import opening
from bot.reading.reader import PageReader
from bot.running.engines import (
    Engine,
    check_remotes,
    known_models,
    make_catalogue,
    make_engine,
    remote_models,
)
from bot.running.fetching import fetch_default, fetch_named, name_models
from bot.running.progress import on_stderr
from bot.source import Source
from bot.strategies.answering import Answering
from bot.tasks import TaskSet
from bot.turns.gathering import with_gathered
from bot.turns.late import LateAnswers
from bot.types import Personality


class ModelAlone:
    """The model of ``settings``, with its personalities. Nothing that is asked is kept."""

    def __init__(
        self,
        settings: Settings,
        book: PersonalityBook,
        engine: Engine,
        answering: Answering,
        grounder: Grounder,
    ) -> None:
        self._settings = settings
        self._book = book
        self._engine = engine
        self._answering = answering
        self._grounder = grounder
        self._tasks = TaskSet(SystemClock())

    async def ask(self, asked: CompletionRequest) -> AsyncGenerator[GenerationEvent, None]:
        """The reply as it grows. Leaving early ends it."""
        chosen = self._book.get(asked.personality or self._settings.personality)
        begin = partial(self._begin, asked, chosen)
        (generation,) = LateAnswers(1, begin, self._tasks).streams
        try:
            async for event in generation:
                if isinstance(event, Finished) and event.reason is FinishReason.ERROR:
                    raise EngineFailed(event.detail)
                if chosen.reasoning != "hidden" or not isinstance(event, Reasoning):
                    yield event
        finally:
            generation.cancel()

    async def _begin(
        self, asked: CompletionRequest, chosen: Personality, tell: Callable[[str], None]
    ) -> Sequence[EngineGeneration]:
        """Gathers what it is answered from first, if anything."""
        wanted = SourcesWanted(
            personality=chosen,
            text=asked.messages[-1].content,
            may_read=self._settings.read_pages != "off",
            person=asked.account,
        )
        sources: tuple[Source, ...] = ()
        if self._grounder.wants(wanted):
            gathered = await gather_fitting(
                self._grounder,
                await generator_of(self._engine, chosen.model),
                wanted,
                lambda found: (*opening(chosen), *with_gathered(asked, found).messages),
                max_tokens=self._settings.max_tokens,
                tell=tell,
            )
            sources = gathered.sources
            if gathered.refusals:
                tell(" ".join(gathered.refusals).removesuffix("."))
        request = GenerationRequest(
            messages=(*opening(chosen), *with_gathered(asked, sources).messages),
            person=asked.account,
            sampling=chosen.sampling,
            loop_guard=chosen.loop_guard,
            max_tokens=self._settings.max_tokens,
            answer_format=asked.answer_format,
            model=chosen.model,
        )
        return [await self._answering.generate(request, chosen, sources)]

    async def model_of(self, personality: str) -> str:
        return self._book.get(personality).model or self._engine.name


def alone(settings: Settings) -> Settings:
    """Those of a Parley that serves one command: nobody else is to find it."""
    tables = {name: type(getattr(settings, name))() for name in PLATFORMS}
    here = {"host": "127.0.0.1", "port": 0, "public_url": None, "trusted_proxies": ()}
    unseen = {"adapters": (), "open_page": "off"}
    return settings.model_copy(update={**tables, **here, **unseen})


@asynccontextmanager
async def model_alone(
    settings: Settings, personality: str, *, num_at_once: int = 1
) -> AsyncIterator[ModelAlone]:
    """With the model of that personality; others are loaded when they are needed."""
    catalogue = make_catalogue(settings)
    known = known_models(settings, catalogue)
    folder, default = settings.personalities, settings.personality
    book = await asyncio.to_thread(PersonalityBook.load, folder, default, known)
    chosen = book.get(personality)
    await check_remotes(settings, [chosen])
    name_models(settings, catalogue, book.all())
    if chosen.model is None:
        await fetch_default(settings, on_stderr)
    else:
        await fetch_named(settings, catalogue, [chosen], on_stderr)
    update = {"running": num_at_once, "parked_memory": 0, "parked_disk": 0}
    few, metrics, clock = settings.model_copy(update=update), Metrics(), SystemClock()
    make = partial(make_engine, few, metrics, catalogue, default=chosen.model)
    async with (
        await asyncio.to_thread(make) as engine,
        remote_models(settings, metrics) as remotes,
        PageReader.of(settings.fetch_allow, settings.robots, clock, metrics) as pages,
    ):
        answering = Answering(engine, metrics, clock, remotes)
        with closing(FactBases(folder, settings.data_dir, metrics, refreshes=False)) as facts:
            grounder = Grounder(metrics, pages, facts, SourceChoice(engine, metrics))
            yield ModelAlone(settings, book, engine, answering, grounder)

"""The ports and rules that all turns share, and the trimming of their threads' contexts."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from bot import prompt
from bot.access import Access
from bot.attachments.uploads import Uploads
from bot.delivery.reply_messages import ShownMessages
from bot.delivery.reply_pace import Backoff
from bot.errors import ParleyError, RateLimited, StorageError, Unavailable, UnknownPersonality
from bot.generation import GenerationRequest
from bot.grounding.grounder import Grounder
from bot.markdown.links import LinkSetting
from bot.metrics import Metrics
from bot.pacing import EditBudget
from bot.personality import PersonalityBook
from bot.ports import Adapter, Clock, TextGenerator, Warming, generator_of
from bot.stored import Turn
from bot.stores import (
    AnswerStore,
    DeliveryLog,
    Retention,
    ThreadDirectory,
    ThreadSettings,
    TurnProgress,
)
from bot.strategies.answering import Answering
from bot.tasks import TaskSet
from bot.turns.listening import Listening
from bot.types import Incoming, Personality, Place
from bot.usage import UsageLog

logger = logging.getLogger(__name__)

T = TypeVar("T")

_ONLY_PEOPLE = (
    "I read pages only for people who have signed in; whoever runs Parley can allow it for "
    "everybody with PARLEY_READ_PAGES=everybody."
)
_PATIENCE = 60.0
"""Seconds for which a platform that is out of reach is tried again."""


@dataclass(frozen=True, slots=True)
class ConversationRules:
    """``stop_reactions``: adapter name -> reaction names, ``*`` for any run of characters.

    ``max_waiting_per_channel``: 0 is any number. ``retention_days``: 0 is for ever. ``elsewhere``:
    the platforms that the next process has again, which takes up what is unfinished there.
    ``read_pages``: for whom pages are read whose addresses a question has.
    """

    personality: str = "assistant"
    max_tokens: int = 512
    stop_reactions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    recover_seconds: float = 900.0
    max_waiting_per_channel: int = 50
    links: LinkSetting = "known"
    retention_days: float = 0
    elsewhere: tuple[str, ...] = ()
    read_pages: Literal["people", "everybody", "off"] = "people"

    def may_read(self, *, is_known: bool) -> tuple[bool, str]:
        """Whether pages are read for somebody, known by name or not; else a sentence for them."""
        if self.read_pages == "people" and not is_known:
            return False, _ONLY_PEOPLE
        return self.read_pages != "off", ""


@dataclass(frozen=True, slots=True)
class Services:
    """``tasks``: what follows the ends of turns."""

    deliveries: DeliveryLog
    progress: TurnProgress
    answers: AnswerStore
    thread_settings: ThreadSettings
    directory: ThreadDirectory
    retention: Retention
    generator: TextGenerator
    answering: Answering
    grounder: Grounder
    personalities: PersonalityBook
    access: Access
    adapters: Mapping[str, Adapter]
    budgets: Mapping[str, EditBudget]
    clock: Clock
    metrics: Metrics
    rules: ConversationRules
    usage: UsageLog
    tasks: TaskSet
    uploads: Uploads
    listening: Listening
    shown: ShownMessages

    async def settle(self, incoming: Incoming) -> None:
        """It is owed no more. What the disk does not take is taken up by the next process."""
        try:
            await self.deliveries.settle(incoming)
        except StorageError as error:
            logger.error("it could not be stored that a question is settled: %s", error.detail)

    async def patiently(
        self,
        method: str,
        place: Place,
        call: Callable[[bool], Awaitable[T]],
        *,
        is_repeated: bool = False,
    ) -> T:
        """The call beside a reply, made again while the platform is out of reach.

        ``call`` hears whether an earlier one may have had its effect. Raises ``PlatformError``.
        """
        clock, backoff = self.clock, Backoff(_PATIENCE, random.Random())  # noqa: S311
        while True:
            await clock.sleep(max(0.0, backoff.retry_at - clock.monotonic()))
            try:
                async with self.budgets[place.adapter].call(method, place):
                    return await call(is_repeated)
            except (RateLimited, Unavailable) as error:
                backoff.fail(clock.monotonic())
                if backoff.is_exhausted(clock.monotonic()):
                    raise
                is_repeated |= isinstance(error, Unavailable) and error.ambiguous

    async def generator_for(self, model: str | None) -> TextGenerator:
        """The engine's model of that name, or its default one. Raises ``EngineFailed``."""
        return await generator_of(self.generator, model)

    async def personality_of(self, place: Place) -> Personality:
        """The thread's, its channel's, or the default; also if the chosen one is gone."""
        return self.personality_named(
            await self.thread_settings.personality(place) or self.rules.personality
        )

    def personality_named(self, name: str) -> Personality:
        """That one, or the default where it is gone."""
        try:
            return self.personalities.get(name)
        except UnknownPersonality:
            return self.personalities.default


class ContextTrimmer:
    """Drops turns that no longer fit a thread's prompt, and has the rest evaluated ahead.

    ``warming``: evaluations that nobody waits for.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self.warming = TaskSet(services.clock)
        self._under_way: dict[asyncio.Task[None], Place] = {}

    def trim_soon(self, turn: Turn) -> None:
        """``turn`` has ended."""
        self._note(self._services.tasks.spawn(self._trim(turn)), turn.place)

    async def stop(self, place: Place) -> None:
        """Stop trimming the thread, and evaluating it ahead."""
        under_way = [task for task, each in self._under_way.items() if each == place]
        for task in under_way:
            task.cancel()
        if under_way:
            await asyncio.wait(under_way)

    def _note(self, task: asyncio.Task[None], place: Place) -> None:
        self._under_way[task] = place
        task.add_done_callback(self._under_way.pop)

    async def _trim(self, last: Turn) -> None:
        """Drop old turns in one big step now, so that the next question finds room."""
        services, place = self._services, last.place
        try:
            turns = [
                turn for turn in await services.progress.turns(place) if turn.state.is_finished
            ]
            personality = await services.personality_of(place)
            generator = await services.generator_for(personality.model)
            number = await prompt.trim(
                generator, personality, turns, max_tokens=services.rules.max_tokens
            )
            if number is None:
                return
            await services.progress.keep_from(place, number)
            kept = [turn for turn in turns if turn.number >= number]
            self._note(self.warming.spawn(self._warm(last, personality, kept)), place)
        except ParleyError as error:
            logger.warning("a thread could not be trimmed: %s", error)

    async def _warm(self, last: Turn, personality: Personality, kept: list[Turn]) -> None:
        """The kept turns stand at other positions now: evaluate them before the next question."""
        generator = self._services.generator
        if isinstance(generator, Warming):
            request = GenerationRequest(
                messages=prompt.told(personality, kept),
                person=last.person.id,
                thread=str(last.place),
                scope=last.place.workspace_form,
                model=personality.model,
            )
            try:
                await generator.warm(request)
            except ParleyError as error:
                logger.warning("a thread could not be read ahead: %s", error)

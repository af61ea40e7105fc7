"""What adapters call: one question becomes one turn, from accept to final edit."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from bot.access import Access
from bot.commands import Commands
from bot.metrics import Metrics
from bot.pacing import EditBudget
from bot.personality import PersonalityBook
from bot.ports import Adapter, Clock, Generation, TextGenerator, ThreadStore
from bot.turns.asking import Asking
from bot.turns.changes import Changes
from bot.turns.completion import Completions
from bot.turns.message_locks import MessageLocks
from bot.turns.notices import Notices
from bot.turns.parts import ConversationRules, Parts
from bot.turns.reading import Reading
from bot.turns.recovery import Recovery
from bot.turns.registry import Turns
from bot.turns.turn import TurnRunner
from bot.types import (
    Command,
    CompletionRequest,
    Feedback,
    Incoming,
    Person,
    Personality,
    Place,
    Question,
    QuestionDeleted,
    QuestionEdited,
    StopRequest,
    ThreadSummary,
)

__all__ = ["ConversationRules", "ConversationService"]

_DRAIN_CHECK = 0.1


class ConversationService:
    """Implements ``bot.ports.Conversations``.

    ``start`` before anything is delivered; ``drain`` before the adapters and the engine
    close; ``close`` before the store does.
    """

    def __init__(
        self,
        *,
        store: ThreadStore,
        generator: TextGenerator,
        personalities: PersonalityBook,
        access: Access,
        adapters: Mapping[str, Adapter],
        clock: Clock,
        metrics: Metrics,
        rules: ConversationRules,
    ) -> None:
        budgets = {name: EditBudget(each.limits.rules, clock) for name, each in adapters.items()}
        self._parts = Parts(
            store, generator, personalities, access, adapters, budgets, clock, metrics, rules
        )
        self._notices = Notices(self._parts)
        reading = Reading(self._parts, self._notices)
        self._runner = TurnRunner(self._parts, reading)
        self._turns = Turns(self._parts, self._runner)
        self._commands = Commands(self._parts, self._turns, self._notices)
        locks = MessageLocks()
        self._asking = Asking(
            self._parts, self._turns, self._commands, self._notices, reading, locks
        )
        self._changes = Changes(self._parts, self._turns, self._notices, locks)
        self._recovery = Recovery(self._parts, self._runner, self._turns.lanes)
        self._completions = Completions(self._parts, self._runner.admissions)
        self._handling: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Take up what the last process left; returns once new questions line up behind."""
        await self._recovery.start()

    async def drain(self, seconds: float, hurrying: asyncio.Event) -> None:
        """No turn begins any more; those under way get ``seconds`` to end, or until ``hurrying``.

        What has not ended then is queued on disk again, its message left as it is.
        """
        self._turns.lanes.pause()
        self._completions.close()
        deadline = self._parts.clock.monotonic() + seconds
        while self._is_busy() and self._parts.clock.monotonic() < deadline:
            if hurrying.is_set():
                break
            await self._parts.clock.sleep(_DRAIN_CHECK)
        await self._turns.put_back()

    async def close(self) -> None:
        self._turns.lanes.pause()
        if self._handling:
            await asyncio.wait(self._handling)
        for tasks in (
            self._recovery.tasks,
            self._turns.lanes.tasks,
            self._notices.tasks,
            self._runner.admissions.tasks,
            self._runner.closing.tasks,
            self._runner.closing.warming,
        ):
            await tasks.cancel()

    async def handle(self, incoming: Incoming) -> None:
        """Finished also for a caller that hangs up: what is on disk must be under way, too."""
        task = asyncio.create_task(self._take(incoming))
        self._handling.add(task)
        task.add_done_callback(self._handling.discard)
        await asyncio.shield(task)

    async def _take(self, incoming: Incoming) -> None:
        match incoming:
            case Question():
                await self._asking.take(incoming)
            case Command():
                await self._commands.take(incoming)
            case StopRequest():
                await self._changes.stop(incoming)
            case QuestionEdited():
                await self._changes.edit(incoming)
            case QuestionDeleted():
                await self._changes.delete(incoming)
            case Feedback():
                await self._changes.rate(incoming)

    def _is_busy(self) -> bool:
        return bool(
            self._handling
            or self._turns.lanes.is_moving
            or self._completions.in_flight
            or self._notices.tasks
            or self._runner.closing.tasks
        )

    async def complete(self, request: CompletionRequest) -> Generation:
        return await self._completions.begin(request)

    async def let_go(self, place: Place) -> None:
        """Turns of the thread are gone: the engine keeps nothing of what it read of it."""
        await self._turns.let_go(place)

    def personalities(self) -> tuple[Personality, ...]:
        return self._parts.personalities.all()

    async def threads(self, person: Person) -> list[ThreadSummary]:
        return await self._parts.store.threads(person.id)

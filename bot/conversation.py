"""The service that adapters call: from a message to a turn on disk, or to a command."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from bot.access import Access
from bot.attachments.uploads import Uploads
from bot.chat.service import ChatService
from bot.chats import ADAPTER, Owner
from bot.delivery.reply_messages import ShownMessages
from bot.errors import AccessDenied, UnknownThread
from bot.generation import CompletionRequest
from bot.grounding.grounder import Grounder
from bot.metrics import Metrics
from bot.pacing import EditBudget
from bot.personality import PersonalityBook
from bot.ports import Adapter, Clock, Generation, TextGenerator, Tokenizes
from bot.sessions import SessionReply, Sessions
from bot.stored import ThreadSummary
from bot.stores import ThreadStore
from bot.strategies.answering import Answering
from bot.tasks import TaskSet
from bot.turns.changes import Changes
from bot.turns.commands import Commands
from bot.turns.completion import Completions
from bot.turns.handling import Handling
from bot.turns.inputs import InputLoader
from bot.turns.listening import Listening
from bot.turns.live import LiveTurn
from bot.turns.notices import Notices
from bot.turns.questions import QuestionHandler
from bot.turns.queues import AdmissionQueue, MessageLocks
from bot.turns.recovery import Recovery
from bot.turns.registry import Turns
from bot.turns.services import ContextTrimmer, ConversationRules, Services
from bot.turns.turn import PostedTurn
from bot.turns.unposted import UnpostedQuestions
from bot.types import (
    Command,
    Feedback,
    Incoming,
    Person,
    Personality,
    Place,
    Question,
    QuestionDeleted,
    QuestionEdited,
    Session,
    SessionQuestion,
    Standing,
    StopRequest,
    UnpostedQuestion,
)
from bot.usage import UsageLog

__all__ = ["ConversationRules", "ConversationService"]

_DRAIN_CHECK = 0.1
_LAST_WORDS = 0.5
"""Programs that poll ask every quarter of a second."""


class ConversationService:
    """Implements ``bot.ports.Conversations``.

    Without ``answering`` and ``grounder`` every personality answers by itself, from what it knows.
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
        uploads: Uploads,
        answering: Answering | None = None,
        grounder: Grounder | None = None,
    ) -> None:
        budgets = {name: EditBudget(each.limits.rules, clock) for name, each in adapters.items()}
        self._services = Services(
            deliveries=store,
            progress=store,
            answers=store,
            thread_settings=store,
            directory=store,
            retention=store,
            generator=generator,
            answering=answering or Answering(generator, metrics, clock),
            grounder=grounder or Grounder(),
            personalities=personalities,
            access=access,
            adapters=adapters,
            budgets=budgets,
            clock=clock,
            metrics=metrics,
            rules=rules,
            usage=UsageLog(store, clock, metrics),
            tasks=TaskSet(clock),
            uploads=uploads,
            listening=Listening(store),
            shown=ShownMessages(),
        )
        self._notices = Notices(self._services)
        self._admissions = AdmissionQueue(clock)
        self._trimmer = ContextTrimmer(self._services)
        loader = InputLoader(self._services, self._notices)
        common = (self._services, self._admissions, self._trimmer)
        new_turn = partial(PostedTurn, *common, loader.load, loader.tell)
        self._turns = Turns(self._services, self._trimmer, new_turn)
        self._commands = Commands(self._services, self._turns, self._notices)
        locks = MessageLocks()
        self._questions = QuestionHandler(
            self._services, self._turns, self._commands, self._notices, loader, locks
        )
        self._unposted = UnpostedQuestions(
            self._services, self._turns, self._notices, self._questions.store
        )
        self._changes = Changes(
            self._services, self._turns, self._commands, self._questions, self._notices, locks
        )
        self._completions = Completions(self._services, self._admissions)
        self._sessions = Sessions(self._services, self._turns, self._admissions, self._trimmer)
        self._handling = Handling()
        self._chats = ChatService(
            self._services, self._turns, self._admissions, self._trimmer, self._handling, loader
        )
        self._recovery = Recovery(
            self._services,
            dict.fromkeys(adapters, partial(new_turn, search_first=True))
            | {ADAPTER: self._chats.revive},
            partial(LiveTurn, self._services, self._admissions, self._trimmer),
            self._turns.queues,
            self._answer,
            self._notices,
        )

    @property
    def chats(self) -> ChatService:
        return self._chats

    async def start(self) -> None:
        """Take up unfinished turns; returns once new questions queue behind them."""
        await self.sweep_uploads(is_first=True)
        await self._services.listening.load()
        await self._recovery.start()

    async def drain(self, seconds: float, hurrying: asyncio.Event) -> None:
        """No turn begins any more; those under way get ``seconds`` to end, or until ``hurrying``.

        What has not ended then is queued on disk again, its message left as it is.
        """
        self._turns.queues.pause()
        self._completions.close()
        self._sessions.close()
        deadline = self._services.clock.monotonic() + seconds
        while self._is_busy() and self._services.clock.monotonic() < deadline:
            if hurrying.is_set():
                break
            await self._services.clock.sleep(_DRAIN_CHECK)
        await self._turns.put_back()

    async def end_answers(self) -> None:
        """Programs that still wait are told that Parley stops, if they ask within a moment."""
        if self._completions.in_flight:
            self._completions.cancel()
            await self._services.clock.sleep(_LAST_WORDS)

    async def close(self) -> None:
        self._turns.queues.pause()
        await self._handling.wait()
        for tasks in (
            self._unposted.tasks,
            self._recovery.tasks,
            self._turns.queues.tasks,
            self._notices.tasks,
            self._admissions.tasks,
            self._services.tasks,
            self._trimmer.warming,
        ):
            await tasks.cancel()
        self._completions.cancel()
        self._chats.close()
        await self._services.usage.close()

    async def handle(self, incoming: Incoming) -> None:
        """Runs to its end though the caller hangs up: a turn on disk must be under way, too."""
        await self._handling.run(self._take(incoming))

    async def _take(self, incoming: Incoming) -> None:
        match incoming:
            case Question():
                await self._questions.take(incoming)
            case UnpostedQuestion():
                await self._unposted.take(incoming)
            case Command():
                await self._commands.take(incoming)
            case StopRequest():
                await self._changes.stop(incoming)
            case QuestionEdited():
                await self._changes.edit(incoming)
            case QuestionDeleted():
                await self._changes.delete(incoming)
            case Feedback():
                await self._changes.votes.rate(incoming)

    def _answer(self, asked: Command | UnpostedQuestion) -> None:
        """An earlier process has taken it."""
        if isinstance(asked, UnpostedQuestion):
            answering = self._unposted.answer(asked, search_first=True)
        else:
            answering = self._commands.run(asked)
        self._unposted.tasks.spawn(answering)

    def _is_busy(self) -> bool:
        return bool(
            self._handling
            or self._turns.queues.is_moving
            or self._completions.in_flight
            or self._unposted.tasks
            or self._notices.tasks
            or self._services.tasks
        )

    async def complete(self, request: CompletionRequest) -> Generation:
        (generation,) = await self._completions.begin(request, 1)
        return generation

    async def complete_all(
        self, request: CompletionRequest, num_answers: int
    ) -> Sequence[Generation]:
        return await self._completions.begin(request, num_answers)

    async def converse(self, question: SessionQuestion) -> Generation:
        """The turn of a caller who hangs up before it has the reply is stopped."""
        beginning = self._handling.begin(self._sessions.begin(question))
        try:
            return await asyncio.shield(beginning)
        except asyncio.CancelledError:
            beginning.add_done_callback(_stop)
            raise

    async def forget(self, session: Session) -> int:
        return await self._handling.run(self._sessions.forget(session))

    async def forget_thread(self, place: Place) -> None:
        if place.adapter == ADAPTER:
            await self._chats.forget_chat(Owner(place.workspace, place.channel), place.thread)
        elif not await self._handling.run(self._turns.forget(place)):
            raise UnknownThread(place)

    async def vote(self, account: str, answer_id: str, rating: int) -> None:
        await self._completions.vote(account, answer_id, rating)

    async def embed(
        self, account: str, user: str | None, model: str | None, request: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        return await self._completions.embed(account, user, model, request)

    async def tokenizer(
        self, account: str, personality: str | None, model: str | None
    ) -> Tokenizes:
        return await self._completions.tokenizer(account, personality, model)

    async def sweep_uploads(self, *, is_first: bool = False) -> None:
        """Delete the files that no turn awaits any more; see ``Uploads.sweep``."""
        awaited = await self._services.progress.awaited(ADAPTER)
        await self._services.uploads.sweep(awaited, is_first=is_first)

    async def let_go(self, place: Place) -> None:
        """Turns of the thread were pruned: who sees it is told, and the engine drops its state."""
        if place.adapter == ADAPTER:
            self._chats.note_pruned(place)
        await self._turns.let_go(place)

    def personalities(self) -> tuple[Personality, ...]:
        return self._services.personalities.all()

    async def standing(self, place: Place, person: Person) -> Standing:
        return await self._commands.standing(place, person)

    def listens(self, place: Place) -> bool:
        return self._services.listening.hears(place)

    def refusal_of(self, place: Place, person: Person) -> str:
        try:
            self._services.access.check(place, person, is_direct=False)
        except AccessDenied as error:
            return str(error)
        return ""

    async def threads(self, person: Person) -> list[ThreadSummary]:
        return await self._services.directory.threads(person.id)


def _stop(beginning: asyncio.Task[SessionReply]) -> None:
    if not beginning.cancelled() and beginning.exception() is None:
        beginning.result().cancel()

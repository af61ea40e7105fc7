"""The service that adapters call: from a message to a turn on disk, or to a command."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from bot.access import Access
from bot.errors import AccessDenied, OverLimit, UnknownPersonality
from bot.metrics import Metrics
from bot.pacing import EditBudget
from bot.personality import PersonalityBook
from bot.ports import (
    Adapter,
    Capabilities,
    Clock,
    Generation,
    TextGenerator,
    ThreadStore,
)
from bot.prompt import clean
from bot.tasks import TaskSet
from bot.turns.changes import Changes
from bot.turns.commands import Commands
from bot.turns.completion import Completions
from bot.turns.inputs import InputLoader
from bot.turns.notices import Notices
from bot.turns.queues import AdmissionQueue, MessageLocks, key_of
from bot.turns.recovery import Recovery
from bot.turns.registry import Turns
from bot.turns.services import ContextTrimmer, ConversationRules, Services
from bot.turns.turn import LiveTurn
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
    Turn,
)

__all__ = ["ConversationRules", "ConversationService"]

EMPTY = "I see no question in this; please write one after my name."

_DRAIN_CHECK = 0.1
_PLAIN_COMMANDS = ("stop", "retry", "forget", "status", "help")
_PERSONALITY = re.compile(r"personality(?: \S+(?: channel)?)?")


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
        self._services = Services(
            deliveries=store,
            progress=store,
            thread_settings=store,
            directory=store,
            retention=store,
            generator=generator,
            personalities=personalities,
            access=access,
            adapters=adapters,
            budgets=budgets,
            clock=clock,
            metrics=metrics,
            rules=rules,
            tasks=TaskSet(clock),
        )
        self._notices = Notices(self._services)
        self._admissions = AdmissionQueue(clock)
        self._trimmer = ContextTrimmer(self._services)
        loader = InputLoader(self._services, self._notices)
        new_turn = partial(LiveTurn, self._services, self._admissions, self._trimmer, loader.load)
        self._turns = Turns(self._services, self._trimmer, new_turn)
        self._commands = Commands(self._services, self._turns, self._notices)
        locks = MessageLocks()
        self._questions = QuestionHandler(
            self._services, self._turns, self._commands, self._notices, loader, locks
        )
        self._changes = Changes(self._services, self._turns, self._notices, locks)
        self._recovery = Recovery(self._services, new_turn, self._turns.queues)
        self._completions = Completions(self._services, self._admissions)
        self._handling: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Take up unfinished turns; returns once new questions queue behind them."""
        await self._recovery.start()

    async def drain(self, seconds: float, hurrying: asyncio.Event) -> None:
        """No turn begins any more; those under way get ``seconds`` to end, or until ``hurrying``.

        What has not ended then is queued on disk again, its message left as it is.
        """
        self._turns.queues.pause()
        self._completions.close()
        deadline = self._services.clock.monotonic() + seconds
        while self._is_busy() and self._services.clock.monotonic() < deadline:
            if hurrying.is_set():
                break
            await self._services.clock.sleep(_DRAIN_CHECK)
        await self._turns.put_back()

    async def close(self) -> None:
        self._turns.queues.pause()
        if self._handling:
            await asyncio.wait(self._handling)
        for tasks in (
            self._recovery.tasks,
            self._turns.queues.tasks,
            self._notices.tasks,
            self._admissions.tasks,
            self._services.tasks,
            self._trimmer.warming,
        ):
            await tasks.cancel()

    async def handle(self, incoming: Incoming) -> None:
        """Runs to its end though the caller hangs up: a turn on disk must be under way, too."""
        task = asyncio.create_task(self._take(incoming))
        self._handling.add(task)
        task.add_done_callback(self._handling.discard)
        await asyncio.shield(task)

    async def _take(self, incoming: Incoming) -> None:
        match incoming:
            case Question():
                await self._questions.take(incoming)
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
            or self._turns.queues.is_moving
            or self._completions.in_flight
            or self._notices.tasks
            or self._services.tasks
        )

    async def complete(self, request: CompletionRequest) -> Generation:
        return await self._completions.begin(request)

    async def let_go(self, place: Place) -> None:
        """Turns of the thread were pruned: the engine drops its state of it."""
        await self._turns.let_go(place)

    def personalities(self) -> tuple[Personality, ...]:
        return self._services.personalities.all()

    async def threads(self, person: Person) -> list[ThreadSummary]:
        return await self._services.directory.threads(person.id)


class QuestionHandler:
    """Turns a message into a turn on disk, or into one sentence of why not.

    A message may come twice, even at once, and even as two kinds of event: it counts once.
    """

    def __init__(
        self,
        services: Services,
        turns: Turns,
        commands: Commands,
        notices: Notices,
        loader: InputLoader,
        locks: MessageLocks,
    ) -> None:
        self._services = services
        self._turns = turns
        self._commands = commands
        self._notices = notices
        self._locks = locks
        self._loader = loader

    async def take(self, question: Question) -> None:
        """Returns once the question is on disk; nothing of a refused person is stored."""
        is_ours = _is_addressed(question) or await self._services.deliveries.knows(question.place)
        if not (is_ours and self._is_allowed(question)):
            return
        question = replace(question, text=clean(question.text).strip())
        async with self._locks.hold(question.place, question.message_id):
            await self._take_once(question)

    def _is_allowed(self, question: Question) -> bool:
        """Only a person who addressed Parley is told of the refusal."""
        try:
            self._services.access.check(
                question.place, question.person, is_direct=question.is_direct
            )
            if question.barred:
                raise AccessDenied(question.barred)
        except AccessDenied as error:
            if _is_addressed(question):
                self._notices.refuse(question, str(error))
            return False
        return True

    async def _take_once(self, question: Question) -> None:
        place, message_id = question.place, question.message_id
        if question.mentions_others and not _is_addressed(question):
            await self._services.deliveries.add_remark(question)
        elif command := command_of(question):
            if await self._services.deliveries.accept_event(command):
                await self._commands.run(command)
        elif not question.text and (why := self._why_empty(question)):
            if _is_addressed(question):
                await self._say_once(question, why)
        elif await self._services.deliveries.turn_of_message(place, message_id) is None:
            try:
                await self._turns.begin(place, question.person, partial(self._store, question))
            except (OverLimit, UnknownPersonality) as error:
                await self._say_once(question, str(error))

    def _why_empty(self, question: Question) -> str:
        return " ".join(self._loader.why_empty(question)) if question.attachments else EMPTY

    async def _store(self, question: Question) -> Turn | None:
        """None if it was stored before. Raises ``UnknownPersonality``."""
        if question.personality is not None:
            await self._choose_personality(question.place, question.personality)
        wants_earlier = await self._wants_earlier(question)
        return await self._services.deliveries.accept(
            replace(question, wants_earlier=wants_earlier)
        )

    async def _wants_earlier(self, question: Question) -> bool:
        """At most once per thread, so that forgotten messages do not come back."""
        place, deliveries = question.place, self._services.deliveries
        adapter = self._services.adapters[place.adapter]
        earlier = Capabilities.of(adapter).earlier_messages
        if earlier is None:
            return False
        if not earlier.may_have_earlier(place, question.message_id) or await deliveries.knows(
            place
        ):
            return False
        first = Incoming(event_id=f"earlier {place}", place=place, person=question.person)
        return await deliveries.accept_event(first)

    async def _choose_personality(self, place: Place, name: str) -> None:
        names = self._services.personalities.names
        if name not in names:
            raise UnknownPersonality(name, names)
        await self._services.thread_settings.set_personality(place, name)

    async def _say_once(self, question: Question, text: str) -> None:
        if await self._services.deliveries.accept_event(_as_event(question)):
            self._notices.tell(question, text)


def _is_addressed(question: Question) -> bool:
    return question.is_mention or question.is_direct


def _as_event(question: Question) -> Incoming:
    """One event for all deliveries of the message, whatever their event ids."""
    return replace(question, event_id=key_of(question.place, question.message_id))


def parse(text: str) -> tuple[str, str] | None:
    """Name and argument if the whole of ``text`` is a command; "help me with x" is a question."""
    words = " ".join(text.split()).rstrip(".!").lower().removeprefix("/")
    if words in _PLAIN_COMMANDS:
        return words, ""
    if _PERSONALITY.fullmatch(words):
        return "personality", words.removeprefix("personality").strip()
    return None


def command_of(question: Question) -> Command | None:
    """The command that the question is; its event is the message, however often delivered.

    What awaits an answer comes once, and is found by its own event.
    """
    if (parsed := parse(question.text)) is None:
        return None
    name, argument = parsed
    message = key_of(question.place, question.message_id)
    return Command(
        event_id=question.event_id if question.awaits_answer else message,
        awaits_answer=question.awaits_answer,
        place=question.place,
        person=question.person,
        name=name,
        argument=argument,
    )

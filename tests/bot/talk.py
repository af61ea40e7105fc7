"""A Parley to talk to: the real store on disk, a fake platform, a scripted model, a hand-turned
clock. ``until`` lets time pass until something is seen.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, Literal, cast

from bot.access import Access
from bot.attachments.uploads import Uploads
from bot.conversation import ConversationRules, ConversationService
from bot.grounding.grounder import Grounder
from bot.history import SqlThreadStore
from bot.history.database import BUSY_TIMEOUT
from bot.markdown.links import LinkSetting
from bot.metrics import Metrics
from bot.personality import PersonalityBook
from bot.stored import Turn
from bot.stores import ThreadStore
from bot.strategies.answering import Answering
from bot.strategies.routing import RemoteModels
from bot.types import Command, Person, Place, Question, QuestionDeleted, QuestionEdited, StopRequest
from tests.bot.new_database import open_new_store
from tests.fakes.clock import FakeClock
from tests.fakes.generator import ScriptedGeneration, ScriptedGenerator
from tests.fakes.platform import FakePlatform, RichFakePlatform

PERSONALITIES = {
    "assistant": "---\ntitle: Assistant\n---\nYou are Parley.\n",
    "pirate": "---\ntitle: Pirate\ndescription: Arr.\n---\nYou are a pirate.\n",
}
STOP = ("octagonal_sign", "raised_hand")
BOSS = Person("fake:W/boss", "Boss")
ADA = Person("fake:W/ada", "Ada")
BOB = Person("fake:W/bob", "Bob")

_numbers = count(1)


def place(thread: str = "t1", channel: str = "C") -> Place:
    return Place("fake", "W", channel, thread)


class WatchedStore:
    """The real store, of which one can wait until nothing is asked of it any more."""

    def __init__(self, store: SqlThreadStore) -> None:
        self._store = store
        self._calls: set[asyncio.Future[Any]] = set()

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self._store, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            task = asyncio.ensure_future(method(*args, **kwargs))
            self._calls.add(task)
            task.add_done_callback(self._calls.discard)
            return await asyncio.shield(task)

        return call

    async def rest(self) -> bool:
        """Wait for what is asked now; False if nothing was."""
        if not self._calls:
            return False
        await asyncio.wait(self._calls)
        return True


class TalkClock(FakeClock):
    """Time stands still while SQLite's threads work, however busy the machine is."""

    def __init__(self) -> None:
        super().__init__()
        self.store: WatchedStore | None = None

    async def settle(self) -> None:
        await super().settle()
        while self.store and await self.store.rest():
            await super().settle()


class StageClock(TalkClock):
    """Stands still while a call of what it watches is under way, however long that takes."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: set[asyncio.Future[Any]] = set()

    def watch(self, called: object, *methods: str) -> None:
        for name in methods:
            setattr(called, name, self._watched(getattr(called, name)))

    def _watched(self, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(*args: Any, **kwargs: Any) -> Any:
            task = asyncio.ensure_future(method(*args, **kwargs))
            self._calls.add(task)
            task.add_done_callback(self._calls.discard)
            return await task

        return call

    async def settle(self) -> None:
        await super().settle()
        while self._calls:
            await asyncio.wait(self._calls)
            await super().settle()


class Talk:
    """What people do and see."""

    def __init__(
        self,
        service: ConversationService,
        store: ThreadStore,
        platform: FakePlatform,
        generator: ScriptedGenerator,
        clock: TalkClock,
        access: Access,
        metrics: Metrics,
    ) -> None:
        self.service = service
        self.store = store
        self.platform = platform
        self.generator = generator
        self.clock = clock
        self.access = access
        self.metrics = metrics

    async def ask(
        self,
        text: str,
        *,
        thread: str = "t1",
        channel: str = "C",
        person: Person = ADA,
        message_id: str | None = None,
        **flags: bool,
    ) -> Question:
        """Mention Parley, unless ``flags`` say otherwise; back once it was acknowledged."""
        number = next(_numbers)
        question = Question(
            event_id=f"e{number}",
            place=place(thread, channel),
            person=person,
            text=text,
            message_id=message_id or f"q{number}",
            sent_at=self.clock.now(),
            is_mention=flags.get("is_mention", True),
            is_direct=flags.get("is_direct", False),
            mentions_others=flags.get("mentions_others", False),
            begins_thread=flags.get("begins_thread", False),
        )
        await self.service.handle(question)
        return question

    async def answered(self, text: str, reply: str, **options: Any) -> Question:
        """Ask and be answered."""
        self.generator.replies.append(reply)
        question = await self.ask(text, **options)
        await self.ended(question)
        return question

    async def react(self, message_id: str, name: str, person: Person = ADA) -> None:
        await self.service.handle(
            StopRequest(
                event_id=f"e{next(_numbers)}",
                place=place(""),
                person=person,
                message_id=message_id,
                reaction=name,
            )
        )

    async def press_stop(self, message_id: str, person: Person = ADA) -> None:
        await self.service.handle(
            StopRequest(
                event_id=f"e{next(_numbers)}", place=place(""), person=person, message_id=message_id
            )
        )

    async def edit(self, question: Question, text: str, person: Person | None = None) -> None:
        await self.service.handle(
            QuestionEdited(
                event_id=f"e{next(_numbers)}",
                place=question.place,
                person=person or question.person,
                message_id=question.message_id,
                text=text,
            )
        )

    def edited(self, question: Question, text: str, **now: Any) -> QuestionEdited:
        """The delivery of an edit; ``now``: what else the message is from then on."""
        event_id = f"e{next(_numbers)}"
        return QuestionEdited(
            event_id=event_id,
            place=question.place,
            person=question.person,
            message_id=question.message_id,
            text=text,
            becomes=replace(question, event_id=event_id, text=text, **now),
        )

    async def rewrite(self, question: Question, text: str, **now: Any) -> QuestionEdited:
        """As people do, on a platform that says what the message is from then on."""
        edited = self.edited(question, text, **now)
        await self.service.handle(edited)
        return edited

    async def delete(self, question: Question) -> None:
        await self.service.handle(
            QuestionDeleted(
                event_id=f"e{next(_numbers)}",
                place=question.place,
                person=Person("fake:W/unknown"),
                message_id=question.message_id,
            )
        )

    async def command(self, name: str, argument: str = "", person: Person = ADA) -> None:
        await self.service.handle(
            Command(
                event_id=f"e{next(_numbers)}",
                place=place(),
                person=person,
                name=name,
                argument=argument,
            )
        )

    def visible(self, thread: str = "t1", channel: str = "C") -> list[str]:
        return self.platform.visible(place(thread, channel))

    def whispers(self, person: Person = ADA) -> list[str]:
        assert isinstance(self.platform, RichFakePlatform)
        return self.platform.whispers(person)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Time passes quickly until ``condition`` holds; a minute of it is too long."""
        for _ in range(600):
            await self.clock.settle()
            if condition():
                return
            await self.clock.advance(0.1)
        raise AssertionError(f"it did not come to that; people see {self.platform.messages}")

    async def sees(self, *texts: str, thread: str = "t1", channel: str = "C") -> None:
        """Until exactly these messages of ours stand in the thread."""
        try:
            await self.until(lambda: self.visible(thread, channel) == list(texts))
        except AssertionError:
            assert self.visible(thread, channel) == list(texts)

    async def quiet(self) -> None:
        """A while in which whatever is to happen does."""
        await self.clock.advance(3)

    async def generation(self) -> ScriptedGeneration:
        """The next one that the test leads."""
        task = asyncio.ensure_future(self.generator.started())
        await self.until(task.done)
        return task.result()

    async def close(self) -> None:
        closing = asyncio.ensure_future(self.service.close())
        await self.until(closing.done)
        closing.result()

    async def turn(self, question: Question) -> Turn:
        turn = await self.store.turn_of_message(question.place, question.message_id)
        assert turn is not None
        return turn

    async def ended(self, question: Question) -> Turn:
        """Until the turn is finished on disk, and its thread free for the next."""
        for _ in range(600):
            turn = await self.turn(question)
            if turn.state.is_finished and not self.is_under_way(turn):
                return turn
            await self.clock.advance(0.1)
        raise AssertionError(f"the turn is still {turn}")

    def is_under_way(self, turn: Turn) -> bool:
        return self.service._turns.queues.find(turn.id) is not None


def book(folder: Path) -> PersonalityBook:
    folder.mkdir(exist_ok=True)
    for name, text in PERSONALITIES.items():
        (folder / f"{name}.md").write_text(text)
    return PersonalityBook.load(folder, "assistant")


async def open_test_store(
    folder: Path, clock: TalkClock, busy_timeout: float = BUSY_TIMEOUT
) -> ThreadStore:
    """From now on ``clock`` waits for it.

    Its own threads may lock each other out for a moment, which on a busy machine is long: only
    a test that holds the lock itself makes ``busy_timeout`` short.
    """
    path = folder / "parley.db"
    clock.store = WatchedStore(await open_new_store(path, clock, busy_timeout=busy_timeout))
    return cast(ThreadStore, clock.store)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Another program holds the database for longer than Parley waits."""
    other_program = sqlite3.connect(folder / "parley.db", isolation_level=None)
    try:
        other_program.execute("BEGIN IMMEDIATE")
        yield
    finally:
        other_program.close()


async def make(
    folder: Path,
    store: ThreadStore,
    *,
    clock: TalkClock,
    platform: FakePlatform | None = None,
    generator: ScriptedGenerator | None = None,
    allow: Sequence[str] = (),
    deny: Sequence[str] = (),
    direct_messages: bool = True,
    max_in_flight: int = 0,
    per_minute: int = 0,
    max_waiting_per_channel: int = 50,
    links: LinkSetting = "known",
    elsewhere: tuple[str, ...] = (),
    remotes: RemoteModels | None = None,
    grounder: Grounder | None = None,
    read_pages: Literal["people", "everybody", "off"] = "people",
) -> Talk:
    """Not started yet."""
    platform = platform or RichFakePlatform(clock)
    generator = generator or ScriptedGenerator()
    metrics = Metrics()
    access = Access(
        allow=allow,
        deny=deny,
        admins=[BOSS.id],
        direct_messages=direct_messages,
        max_in_flight=max_in_flight,
        per_minute=per_minute,
        clock=clock,
    )
    service = ConversationService(
        store=store,
        generator=generator,
        personalities=await asyncio.to_thread(book, folder / "personalities"),
        access=access,
        adapters={platform.name: platform},
        clock=clock,
        metrics=metrics,
        rules=ConversationRules(
            max_tokens=100,
            stop_reactions={"fake": STOP},
            max_waiting_per_channel=max_waiting_per_channel,
            links=links,
            elsewhere=elsewhere,
            read_pages=read_pages,
        ),
        uploads=Uploads(folder / "uploads"),
        answering=Answering(generator, metrics, clock, remotes),
        grounder=grounder,
    )
    return Talk(service, store, platform, generator, clock, access, metrics)


@asynccontextmanager
async def talking(folder: Path, **options: Any) -> AsyncIterator[Talk]:
    """A Parley that runs from start to close."""
    clock = options.pop("clock", None) or TalkClock()
    store = await open_test_store(folder, clock, options.pop("busy_timeout", BUSY_TIMEOUT))
    talk = await make(folder, store, clock=clock, **options)
    await talk.service.start()
    try:
        yield talk
    finally:
        await talk.close()
        await store.close()

"""What is kept on disk: Protocols with the methods of one kind of caller each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from bot.generation import FinishReason, Usage
from bot.source import Source
from bot.stored import (
    AnsweredTurn,
    AnswerUsage,
    Owed,
    StoredAnswer,
    ThreadSummary,
    Turn,
    TurnState,
    Vote,
)
from bot.types import Command, Incoming, Place, Question, UnpostedQuestion


class DeliveryLog(Protocol):
    """Deliveries of platforms, each of which is stored once.

    A turn is unique on (adapter, workspace, channel, message id), an event on
    (adapter, event id); both keys outlive ``forget`` and pruning by a day.
    """

    async def accept(
        self, question: Question, earlier: Sequence[tuple[str, str]] = ()
    ) -> Turn | None:
        """Store a question as a queued turn; None if its message was accepted before.

        ``earlier`` become its remarks.
        """
        ...

    async def accept_event(self, incoming: Incoming) -> bool:
        """Store an event that is not a question; False if it was stored before."""
        ...

    async def owe(self, asked: Command | UnpostedQuestion) -> bool:
        """``accept_event`` of what is answered later, and kept until then.

        It is owed no more once a question with its event id is accepted, or after ``settle``.
        """
        ...

    async def settle(self, incoming: Incoming) -> None: ...

    async def owed(self) -> list[Owed]:
        """Oldest first."""
        ...

    async def add_remark(self, question: Question) -> None:
        """Keep a message of a known thread that was not addressed to Parley, for later prompts.

        One that is kept already reads as it does now; one that is asked is a remark no more.
        """
        ...

    async def note_deleted(self, place: Place, message_id: str) -> None:
        """A message that is no turn is gone: no remark any more, nor a question for some minutes.

        ``place.thread`` is ignored.
        """
        ...

    async def knows(self, place: Place) -> bool:
        """Whether Parley takes part in this thread."""
        ...

    async def turn_of_message(self, place: Place, message_id: str) -> Turn | None:
        """The turn whose question or reply is this message (``place.thread`` is ignored)."""
        ...

    async def vote_of(self, turn_id: str, person_id: str) -> Vote | None:
        """What the person thinks of the turn's newest answer."""
        ...

    async def rate(self, turn_id: str, incoming: Incoming, vote: Vote | None) -> bool:
        """The person's vote from now on; False if the event was stored before.

        The turn is rated as the newest of all votes is; one that is ``requeue``d has none.
        """
        ...


class TurnProgress(Protocol):
    """Turns from queued to finished, and the messages in which their replies are posted."""

    async def turn(self, turn_id: str) -> Turn | None: ...

    async def turns(self, place: Place) -> list[Turn]:
        """The thread's turns in order, from the first that is still kept in the context."""
        ...

    async def unfinished(self) -> list[Turn]:
        """Every queued or running turn, oldest first."""
        ...

    async def awaited(self, adapter: str) -> set[str]:
        """The URLs of the files that turns there have not read yet."""
        ...

    async def begin(self, turn_id: str) -> Turn:
        """State running, ``attempts`` + 1."""
        ...

    async def note_read(
        self, turn_id: str, *, files: Sequence[Source], earlier: Sequence[tuple[str, str]]
    ) -> Turn:
        """Store what was read for the question; ``earlier`` become its remarks."""
        ...

    async def add_sources(self, turn_id: str, text: str, sources: Sequence[Source]) -> Turn:
        """Keep what was gathered for the question, if it still reads ``text``."""
        ...

    async def requeue(self, turn_id: str, *, goes_on: bool = False) -> Turn:
        """It is asked again: state queued, no attempts, posts kept.

        Unless it ``goes_on``, the reply is empty, and what was gathered for it is gone.
        """
        ...

    async def put_back(self, turn_id: str) -> None:
        """Queue a running turn as if this attempt had not been made; else do nothing."""
        ...

    async def add_post(self, turn_id: str, part: int, message_id: str) -> None:
        """Record (or replace) one message of the reply."""
        ...

    async def remove_post(self, turn_id: str, part: int) -> None: ...

    async def finish(
        self,
        turn_id: str,
        state: TurnState,
        *,
        reply: str,
        reason: FinishReason | None = None,
        usage: Usage = Usage(),
        above: str = "",
    ) -> None: ...

    async def edit_question(self, turn_id: str, text: str) -> None:
        """What was gathered for another text is dropped; files that came along stay."""
        ...

    async def keep_from(self, place: Place, number: int) -> None:
        """Leave turns before ``number`` out of later prompts; they stay in the history."""
        ...


class ThreadSettings(Protocol):
    """What people chose for a thread or a channel: its personality, and whether it is heard."""

    async def personality(self, place: Place) -> str | None:
        """The thread's personality, else its channel's, else None."""
        ...

    async def set_personality(self, place: Place, name: str | None) -> None: ...
    async def set_channel_personality(self, place: Place, name: str | None) -> None: ...

    async def listened(self) -> list[Place]:
        """The channels in which nobody needs to mention Parley, without a thread."""
        ...

    async def set_listened(self, place: Place, *, is_on: bool) -> None: ...


class ThreadDirectory(Protocol):
    """Who takes part in a thread, and in which threads a person does."""

    async def speakers(self, place: Place) -> set[str]:
        """The ids of all who asked or remarked in this thread, as far as the history goes."""
        ...

    async def threads(self, person_id: str) -> list[ThreadSummary]: ...

    async def listed(self, place: Place, search: str = "") -> list[ThreadSummary]:
        """The threads of the channel of ``place``, newest first; with ``search`` those that have
        its words in their titles, questions, replies and names of files."""
        ...

    async def summary(self, place: Place) -> ThreadSummary | None: ...

    async def set_title(self, place: Place, title: str | None) -> None:
        """None: how the thread begins."""
        ...

    async def add_thread(
        self, place: Place, turns: Sequence[AnsweredTurn], *, title: str, personality: str | None
    ) -> None:
        """Store a thread from elsewhere, all of whose turns have ended, where none is yet."""
        ...


class Retention(Protocol):
    """Deleting what people asked to be forgotten, and what is old."""

    async def forget(self, place: Place) -> list[Turn]:
        """Delete the thread with all its turns; returns the deleted turns."""
        ...

    async def outdated(self, before: datetime) -> list[Place]:
        """The threads of which ``prune`` would delete turns."""
        ...

    async def prune(self, before: datetime | None) -> int:
        """Delete turns finished before, if given; how many. Also drops keys whose day is over."""
        ...


class AnswerStore(Protocol):
    """The turns of chats, which keep all their answers."""

    async def ask(
        self, question: Question, personality: str, *, is_known: bool = False
    ) -> Turn | None:
        """``accept`` a question that ``personality`` is to answer.

        ``is_known``: the thread had turns; None if it was forgotten meanwhile.
        """
        ...

    async def ask_again(
        self,
        turn_id: str,
        *,
        personality: str,
        text: str | None = None,
        continued: int | None = None,
    ) -> Turn:
        """State queued, no attempts; the question reads ``text``, if given.

        Raises LookupError for a turn that was forgotten.
        """
        ...

    async def branch(self, turn_id: str, question: Question, personality: str) -> Turn | None:
        """``ask`` in a new thread, instead of that turn: with its files, after those before it."""
        ...

    async def end_answer(self, turn_id: str, ended: StoredAnswer) -> int:
        """Finish the turn: ``ended`` is its next answer, and chosen; the number of that.

        One that was to be continued becomes longer, or stays as it was with the note why. If
        nothing came of asking the same once more, what was chosen before counts again.
        """
        ...

    async def answered_turn(self, turn_id: str) -> AnsweredTurn | None: ...

    async def answered_turns(self, place: Place) -> list[AnsweredTurn]:
        """Every turn of the thread, in order."""
        ...

    async def choose_answer(self, turn_id: str, number: int) -> bool:
        """False if there is no such answer, or the turn is unfinished."""
        ...

    async def rate_answer(self, turn_id: str, number: int, rating: int) -> None:
        """Also in the usage log."""
        ...


class UsageStore(Protocol):
    """Who asked when, and how long it took. The rows outlive ``forget``; ``prune`` drops them.

    ``DeliveryLog.rate`` is a vote on the newest answer of the turn.
    """

    async def add_usage(self, rows: Sequence[AnswerUsage]) -> None:
        """A turn that was rated before its row came has that rating in it."""
        ...

    async def vote(self, answer_id: str, account: str, rating: int) -> bool:
        """Rate a program's answer; False if this account (``http:KEY``) has none of that id."""
        ...


class ThreadStore(
    DeliveryLog,
    TurnProgress,
    AnswerStore,
    ThreadSettings,
    ThreadDirectory,
    Retention,
    UsageStore,
    Protocol,
):
    """Threads and turns on disk. Every write is committed when its method returns.

    Every method but ``close`` may raise ``StorageError``; a write has then changed nothing.
    """

    async def close(self) -> None: ...

"""What the stores keep: turns and their answers, as values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bot.generation import FinishReason, Usage
from bot.source import Source
from bot.types import Command, Person, Place, UnpostedQuestion, Unread


class TurnState(StrEnum):
    """Where a turn stands; a turn is a row on disk from the moment it is accepted."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"
    INTERRUPTED = "interrupted"

    @property
    def is_finished(self) -> bool:
        return self not in (TurnState.QUEUED, TurnState.RUNNING)


def can_continue(state: TurnState, reason: FinishReason | None, reply: str) -> bool:
    """Whether a model can go on with what it said: it was stopped, cut off, or failed at it."""
    is_stopped = state in (TurnState.STOPPED, TurnState.INTERRUPTED)
    is_cut_off = is_stopped or reason in (FinishReason.LENGTH, FinishReason.ERROR)
    return state.is_finished and is_cut_off and bool(reply.strip())


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerUsage:
    """One answer in the usage log: who asked when, and how long it took. None of its text.

    ``answer_id``: that of a turn, or the one that a program was told. ``platform``: that of the
    chat, or the route by which a program asks; ``place``: the thread's text form, of programs
    empty. Seconds count from ``asked_at``: until the engine began with it, until its first token,
    until its end; None: it did not get so far, or was not measured. ``rating``: +1, -1 or 0.
    """

    answer_id: str
    asked_at: datetime
    person: str
    platform: str
    place: str = ""
    personality: str = ""
    model: str = ""
    state: TurnState
    finish_reason: FinishReason | None = None
    queue_seconds: float | None = None
    first_token_seconds: float | None = None
    total_seconds: float | None = None
    usage: Usage = Usage()
    rating: int = 0


@dataclass(frozen=True, slots=True)
class Post:
    """One message of a reply on the platform; ``part`` counts from 0."""

    part: int
    message_id: str


@dataclass(frozen=True, slots=True)
class Vote:
    """``rating``: +1 or -1. ``is_pressed``: it was a button, not a reaction."""

    rating: int
    is_pressed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A question and its reply, as stored. ``number`` counts within the thread from 1.

    ``text`` is the question, ``files`` what was read of the files that came with it, ``reply``
    the Markdown shown so far; while the turn is unfinished, what its reply continues, if
    anything, and ``finish_reason`` why that ended. ``above`` is what stands above the reply and
    is no part of it. ``remarks`` are messages posted in the thread before this question and not
    addressed to Parley, as ``(name, text)``. ``unread`` is still to be fetched.
    ``asked_again_at``: when it last was, by retry, continue or an edit.
    """

    id: str
    place: Place
    number: int
    state: TurnState
    person: Person
    message_id: str
    text: str
    accepted_at: datetime
    is_direct: bool = False
    reply: str = ""
    attempts: int = 0
    finish_reason: FinishReason | None = None
    usage: Usage = Usage()
    posts: tuple[Post, ...] = ()
    remarks: tuple[tuple[str, str], ...] = ()
    unread: Unread = Unread()
    files: tuple[Source, ...] = ()
    finished_at: datetime | None = None
    asked_again_at: datetime | None = None
    above: str = ""

    @property
    def can_continue(self) -> bool:
        return can_continue(self.state, self.finish_reason, self.reply)


@dataclass(frozen=True, slots=True)
class Owed:
    """What somebody asked that is no turn yet."""

    asked: Command | UnpostedQuestion
    noted_at: datetime


@dataclass(frozen=True, slots=True)
class ThreadSummary:
    """One thread in a list. ``title``: its own, or how it begins; ``is_busy``: a turn goes on.

    ``excerpt``: of a search, a line with something that was searched for.
    """

    place: Place
    personality: str
    num_turns: int
    title: str = ""
    last_at: datetime | None = None
    is_busy: bool = False
    excerpt: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAnswer:
    """One answer of a chat's turn, and the question as it read then; see ``ChatAnswer``.

    ``number`` 0 and ``finished_at`` None: as the store gives them.
    """

    number: int = 0
    question: str
    reply: str
    state: TurnState
    note: str = ""
    reasoning: str = ""
    reason: FinishReason | None = None
    model: str = ""
    personality: str = ""
    usage: Usage = Usage()
    first_token_seconds: float | None = None
    total_seconds: float | None = None
    rating: int = 0
    finished_at: datetime | None = None

    @property
    def can_continue(self) -> bool:
        return can_continue(self.state, self.reason, self.reply)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredTurn:
    """A turn with its answers, in order; once it is finished it reads as the ``chosen`` one.

    ``personality`` is to answer it, or did so last. ``continued``: the number of the answer that
    becomes longer while the turn is unfinished; None: it gets another one.
    """

    turn: Turn
    answers: tuple[StoredAnswer, ...] = ()
    chosen: int = 0
    personality: str = ""
    continued: int | None = None

    @property
    def next_number(self) -> int:
        """The number of the answer that it gets, or that becomes longer."""
        last = max((each.number for each in self.answers), default=0)
        return last + 1 if self.continued is None else self.continued

    def answer(self, number: int) -> StoredAnswer | None:
        return next((each for each in self.answers if each.number == number), None)

"""Chats: threads that people keep at the page and in the terminal.

A chat is a thread like those of the platforms, under a place of its owner. Its turns go on while
nobody looks, are taken up again after a restart, and keep the answers that were given before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol, Self

from bot.generation import FinishReason, Usage
from bot.source import Source
from bot.stored import TurnState
from bot.types import Person, Place

ADAPTER = "web"

TERMINAL = "terminal"
"""The name of the owner of this machine's terminal; those of its browsers are hashes."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose chats: a person, in ``account`` (an API key's name, ``local``, or who signed in).

    ``name`` tells people of one account apart: browsers of this machine by their cookie.
    """

    account: str
    name: str

    @property
    def person(self) -> Person:
        """Whom access rules and limits mean: ``web:ACCOUNT/NAME``."""
        return Person.at(self.place(""), self.name)

    def place(self, chat_id: str) -> Place:
        return Place(ADAPTER, self.account, self.name, chat_id)


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that comes with a question."""

    name: str
    media_type: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatAnswer:
    """One answer of a turn that has ended, to its question as it read then.

    ``number`` counts within the turn from 1. ``reply`` is Markdown, which later prompts see;
    ``note`` a sentence of what happened (stopped, cut off, failed) and what to do.
    ``can_continue``: it was stopped or cut off, and may go on where it is.
    """

    number: int
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
    can_continue: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowingAnswer:
    """An answer on its way, as much as there is of it.

    ``stage``: it waits in its thread or for the engine (``queued``, at ``place`` from 1, about
    ``wait`` seconds), until ``model`` is loaded (``loading``), until its files and the prompt are
    read (``reading``, with what ``doing`` says, if anything); the model reasons aloud
    (``thinking``) or answers (``writing``).
    ``number`` is the one that it will have in its turn, as far as that was asked: an answer that
    becomes longer keeps its own.
    """

    stage: Literal["queued", "loading", "reading", "thinking", "writing"]
    number: int = 0
    place: int | None = None
    wait: float | None = None
    doing: str = ""
    model: str = ""
    personality: str = ""
    reasoning: str = ""
    reply: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatTurn:
    """A question with all its answers; ``chosen`` is the number of the one that counts.

    ``growing`` is the next answer, if one is on its way. ``files``: names of what came along;
    ``sources``: what was read of them and gathered beside them, which prompts show. Of a thread of
    several people ``asked_by`` is who asked, and ``remarks`` what was said before, as
    ``(name, text)``.
    """

    id: str
    number: int
    question: str
    asked_at: datetime
    answers: tuple[ChatAnswer, ...] = ()
    chosen: int = 0
    growing: GrowingAnswer | None = None
    files: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()
    asked_by: str = ""
    remarks: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatSummary:
    """A chat in the list; ``title`` is what its owner named it, else how it begins."""

    id: str
    title: str
    personality: str
    num_turns: int
    last_at: datetime
    is_busy: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """``window``: tokens that one prompt and its answer may have together, in ``model``."""

    summary: ChatSummary
    turns: tuple[ChatTurn, ...]
    model: str
    window: int


@dataclass(frozen=True, slots=True)
class ChatChanged:
    """A chat of the owner is new, or its summary is another one."""

    summary: ChatSummary


@dataclass(frozen=True, slots=True)
class ChatForgotten:
    chat_id: str


@dataclass(frozen=True, slots=True)
class TurnChanged:
    """In the chat that is watched: a turn is new, has ended, or has another answer or question."""

    turn: ChatTurn


@dataclass(frozen=True, slots=True)
class AnswerGrew:
    """In the chat that is watched. The newest state wins; what lay between is left out."""

    turn_id: str
    growing: GrowingAnswer


ChatEvent = ChatChanged | ChatForgotten | TurnChanged | AnswerGrew


class ChatWatch(Protocol):
    """Iterates over what changes, as it is when that is read; ends once it or Parley is closed.

    Whoever reads slowly misses only what lay between. Reading may be given up, as by a timeout,
    and nothing is lost. One that nobody holds any more counts as closed.
    """

    def __aiter__(self) -> Self: ...
    async def __anext__(self) -> ChatEvent: ...
    def close(self) -> None: ...


class Chats(Protocol):
    """What the page and the terminal call. A chat or turn that is not the owner's is unknown.

    Everything may raise ``RequestError`` (``UnknownChat``, ``AccessDenied``, ``OverLimit`` ...),
    ``EngineFailed`` and ``StorageError``; nothing was done then.
    """

    async def chats(self, owner: Owner, search: str = "") -> Sequence[ChatSummary]:
        """The owner's, newest first; with ``search`` those whose title or texts have its words."""
        ...

    async def chat(self, owner: Owner, chat_id: str) -> Chat: ...

    async def turn(self, owner: Owner, turn_id: str) -> ChatTurn: ...

    async def ask(
        self,
        owner: Owner,
        chat_id: str | None,
        text: str,
        *,
        files: Sequence[Upload] = (),
        personality: str | None = None,
        key: str = "",
    ) -> tuple[str, ChatTurn]:
        """The id of the chat, a new one for None, and the turn; returns once that is on disk.

        ``key``: what the owner's program calls this question. Who does not know whether it
        arrived asks with the same key once more, and gets the same turn.
        """
        ...

    async def retry(self, owner: Owner, turn_id: str) -> None:
        """Answer the newest question of its chat once more; the answer before stays."""
        ...

    async def go_on(self, owner: Owner, turn_id: str) -> None:
        """Continue the chosen answer of the newest question; it becomes longer.

        Where the engine cannot do that, the answer gets a note which says so.
        """
        ...

    async def edit(self, owner: Owner, turn_id: str, text: str) -> str:
        """Ask the question as it reads now. The id of the chat that is answered in.

        An older question than the newest goes on in a new chat, with the turns before it.
        """
        ...

    async def choose(self, owner: Owner, turn_id: str, number: int) -> None:
        """That answer, and its question, counts from now on."""
        ...

    async def stop(self, owner: Owner, turn_id: str) -> None: ...

    async def rate(self, owner: Owner, turn_id: str, rating: int) -> None:
        """+1, -1 or 0 for the chosen answer."""
        ...

    async def rename(self, owner: Owner, chat_id: str, title: str) -> None:
        """An empty title: how the chat begins."""
        ...

    async def set_personality(self, owner: Owner, chat_id: str, name: str) -> None: ...

    async def forget_chat(self, owner: Owner, chat_id: str) -> None:
        """Delete the chat with what is under way in it."""
        ...

    async def add_chat(self, owner: Owner, chat: Chat) -> str:
        """Keep a chat that was exported before, under a new id, which is returned."""
        ...

    def watch(self, owner: Owner, chat_id: str | None) -> ChatWatch:
        """What changes from now on: in the list of the owner's chats, and in that chat."""
        ...

"""The Protocols between the parts of Parley.

Each port has as few methods as its caller uses and says what it raises. What only some
platforms can do is a small Protocol of its own; ``Capabilities.of`` looks them all up.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, runtime_checkable

from bot.markdown.drawing import Drawing
from bot.types import (
    AnswerUsage,
    AnyPrompt,
    Attachment,
    Choice,
    CompletionRequest,
    Finished,
    FinishReason,
    GenerationEvent,
    GenerationRequest,
    Incoming,
    Label,
    Limits,
    ModelCard,
    Person,
    Personality,
    Place,
    Question,
    Rendered,
    Session,
    SessionQuestion,
    Source,
    ThreadSummary,
    Turn,
    TurnState,
    Usage,
)

Handler = Callable[[Incoming], Awaitable[None]]
"""``Conversations.handle``: returns once what must survive is on disk."""


DescribeModel = Callable[[str | None], Awaitable[ModelCard]]
"""The card of the model of that name, or of the default one. Raises ``EngineFailed``."""


LOCAL_ACCOUNT = "local"
"""The account of this machine's own programs, as far as they need no key."""


SIGNED_IN = "user:"
"""How the account of a person begins who has signed in at a proxy; no key is named so."""


class Clock(Protocol):
    """Time as an argument. ``monotonic`` in seconds; ``now`` aware UTC."""

    def monotonic(self) -> float: ...
    def now(self) -> datetime: ...
    async def sleep(self, seconds: float) -> None: ...


class Adapter(Protocol):
    """One platform. Every method but ``render`` may raise ``PlatformError``, and only that.

    Entering connects (and raises ``SettingsError`` for a refused token), leaving closes.
    """

    @property
    def name(self) -> str: ...
    @property
    def limits(self) -> Limits: ...
    @property
    def drawing(self) -> Drawing:
        """How Markdown looks on the platform; a reply is cut and drawn by it."""
        ...

    def render(self, markdown: str) -> Rendered:
        """``drawing.markdown``. Pure; escapes every ping and control sequence."""
        ...

    async def listen(self, handler: Handler) -> None:
        """Deliver to ``handler`` until cancelled; raise ``PlatformError`` if the line is lost.

        A delivery is acknowledged to the platform only after ``handler`` returned.
        """
        ...

    async def post(self, place: Place, text: Rendered, label: Label) -> str:
        """Post into the thread; the message id. Not repeated after an ambiguous failure."""
        ...

    async def edit(self, place: Place, message_id: str, text: Rendered) -> None:
        """Replace the text of one of our messages."""
        ...

    async def delete(self, place: Place, message_id: str) -> None:
        """Delete one of our messages."""
        ...

    async def typing(self, place: Place) -> None:
        """Show that an answer is on its way, where the platform can; else do nothing."""
        ...

    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


@runtime_checkable
class Whispers(Protocol):
    """A platform that can show a message to one person only."""

    async def whisper(self, place: Place, person: Person, text: Rendered) -> None: ...


@runtime_checkable
class Reacts(Protocol):
    """A platform on which the bot may put a 👀 under a question, and remove it."""

    async def react(self, place: Place, message_id: str) -> None: ...
    async def unreact(self, place: Place, message_id: str) -> None: ...


@runtime_checkable
class GrowsReplies(Protocol):
    """A platform that shows a reply that still grows differently from one that has ended.

    ``begin`` is a ``post`` and ``grow`` an ``edit`` of text that is not the last;
    ``is_text`` is False while that is a placeholder. ``finish`` gives a message its last
    text, in a new message if ``message_id`` is None, and answers with its id; ``sources`` come
    with a reply's last message, and are shown where the platform can. Rate rules count them
    as the posts and edits that they are. ``begin`` and ``grow`` may also raise
    ``ReplyStopped``.
    """

    def growth_interval(self, place: Place) -> float:
        """Seconds below which more growth is not worth a call here."""
        ...

    async def begin(self, place: Place, text: Rendered, label: Label, *, is_text: bool) -> str: ...
    async def grow(
        self, place: Place, message_id: str, text: Rendered, *, is_text: bool
    ) -> None: ...
    async def finish(
        self,
        place: Place,
        message_id: str | None,
        text: Rendered,
        label: Label,
        sources: Sequence[Source] = (),
    ) -> str: ...


@runtime_checkable
class OffersChoices(Protocol):
    """A platform that can put buttons under a message."""

    async def offer(
        self, place: Place, text: Rendered, choices: Sequence[Choice], label: Label
    ) -> str:
        """A ``post`` with buttons; the message id."""
        ...


@runtime_checkable
class FindsPosts(Protocol):
    """A platform that can be asked which posts carry a turn's label."""

    async def find_posts(self, place: Place, turn_id: str) -> Mapping[int, str]:
        """Part number -> message id of every post labelled with the turn."""
        ...


@runtime_checkable
class HasEditDeadlines(Protocol):
    """A platform on which some messages can be edited for a shorter time than others."""

    def edit_deadline(self, message_id: str) -> float | None:
        """Seconds after its post for which this message can be edited; 0: no more.

        None: as ``limits`` say.
        """
        ...


@runtime_checkable
class OffersControls(Protocol):
    """A platform with buttons under a reply: Stop while it grows, others once it has ended."""

    async def conclude(self, place: Place, turn_id: str, message_ids: Sequence[str]) -> None:
        """The reply in these messages has ended: no more Stop."""
        ...


@runtime_checkable
class EndsAsFile(Protocol):
    """A platform on which a very long answer may end as an attached file."""

    @property
    def file_above(self) -> int:
        """Messages of an answer above which it does; 0: never."""
        ...

    async def post_file(self, place: Place, name: str, data: bytes, label: Label) -> str:
        """Post into the thread; the message id."""
        ...


@runtime_checkable
class HasEarlierMessages(Protocol):
    """A platform that gives the messages of a thread from before Parley took part in it."""

    def may_have_earlier(self, place: Place, message_id: str) -> bool:
        """False if there cannot be any: the message begins its thread itself."""
        ...

    async def earlier(self, place: Place, message_id: str) -> Sequence[tuple[str, str]]:
        """``(name, text)`` of the messages before ``message_id``, oldest first; bounded."""
        ...


@runtime_checkable
class FetchesFiles(Protocol):
    """A platform whose attachments can be read."""

    async def fetch(self, attachment: Attachment, max_size: int) -> bytes:
        """The file; ``PlatformError`` if it cannot be had or is larger than ``max_size``."""
        ...


@runtime_checkable
class HasRoutes(Protocol):
    """An adapter that takes deliveries over HTTP and verifies them by itself."""

    def routes(self) -> Sequence[Any]:
        """aiohttp's ``RouteDef``, which only the server and the adapters know."""
        ...


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What one adapter can do beyond ``Adapter``: itself under each Protocol it implements."""

    whispers: Whispers | None
    reacts: Reacts | None
    grows: GrowsReplies | None
    offers: OffersChoices | None
    finds_posts: FindsPosts | None
    edit_deadlines: HasEditDeadlines | None
    controls: OffersControls | None
    ends_as_file: EndsAsFile | None
    earlier_messages: HasEarlierMessages | None
    files: FetchesFiles | None
    web: HasRoutes | None

    @classmethod
    def of(cls, adapter: Adapter) -> Self:
        """Looks at the adapter each time; keep the answer where calls are frequent."""
        return cls(
            whispers=adapter if isinstance(adapter, Whispers) else None,
            reacts=adapter if isinstance(adapter, Reacts) else None,
            grows=adapter if isinstance(adapter, GrowsReplies) else None,
            offers=adapter if isinstance(adapter, OffersChoices) else None,
            finds_posts=adapter if isinstance(adapter, FindsPosts) else None,
            edit_deadlines=adapter if isinstance(adapter, HasEditDeadlines) else None,
            controls=adapter if isinstance(adapter, OffersControls) else None,
            ends_as_file=adapter if isinstance(adapter, EndsAsFile) else None,
            earlier_messages=adapter if isinstance(adapter, HasEarlierMessages) else None,
            files=adapter if isinstance(adapter, FetchesFiles) else None,
            web=adapter if isinstance(adapter, HasRoutes) else None,
        )


@dataclass(frozen=True, slots=True)
class AdapterContext:
    """For building an adapter. ``settings``: its table, keys as in ``[slack]`` (``bot_token``).

    ``observe(method, status)`` counts one call to the platform. ``folder`` is where an
    adapter may keep what it must know after a restart; it need not exist yet.
    ``personalities`` are those that can be chosen now. Each adapter package has
    ``create(context: AdapterContext) -> Adapter``.
    """

    settings: Mapping[str, str]
    observe: Callable[[str, str], None]
    clock: Clock
    folder: Path | None = None
    personalities: Callable[[], tuple[Personality, ...]] = tuple


class Generation(Protocol):
    """The events of one reply: ``Queued`` as the place changes, ``Reasoning``, ``Delta``,
    ``Finished`` last.

    ``cancel`` takes effect at the next step; the iterator then still ends with ``Finished``.
    A reader that stops early must call it; it is harmless when finished. Reading raises
    ``PromptTooLong``, before any ``Delta``, where only a remote server could tell: the engine
    then knows the server's limit, and the caller may ask again with a shorter prompt.
    """

    def __aiter__(self) -> Self: ...
    async def __anext__(self) -> GenerationEvent: ...
    def cancel(self) -> None: ...


class EngineGeneration(Generation, Protocol):
    """A ``Generation`` as the engine gives it."""

    def when_finished(self, do: Callable[[Finished], None]) -> None:
        """Call ``do`` once with the last event, at once if there is one, read or not.

        Where reading raises instead, that is one of ``FinishReason.ERROR``.
        """
        ...


class TextGenerator(Protocol):
    """The engine. ``window``: the tokens of one sequence, prompt and reply together."""

    @property
    def name(self) -> str: ...
    @property
    def window(self) -> int: ...

    async def count(self, prompt: AnyPrompt) -> int:
        """Exact tokens of the prompt in the model's own template and tokenizer."""
        ...

    async def generate(self, request: GenerationRequest) -> EngineGeneration:
        """Queue a request. Raises ``QueueFull``, ``PromptTooLong`` or ``EngineFailed``."""
        ...

    async def forget(self, thread: str, scope: str) -> None:
        """Drop the cached state of ``GenerationRequest.thread`` in that scope."""
        ...


@runtime_checkable
class Warming(Protocol):
    """A ``TextGenerator`` that can prefill ahead."""

    async def warm(self, request: GenerationRequest) -> None:
        """Prefill the prompt while the engine is idle, so that the thread's next question starts
        at once; returns when that is done or was given up. Raises ``EngineFailed``."""
        ...


@runtime_checkable
class Tokenizes(Protocol):
    """A ``TextGenerator`` that shows what its tokenizer does. Raises ``RequestError``."""

    @property
    def window(self) -> int: ...

    async def tokenize(self, prompt: AnyPrompt) -> Sequence[int]: ...

    async def texts(self, tokens: Sequence[int]) -> Sequence[bytes]:
        """The bytes of each token; special ones as they are written."""
        ...

    async def detokenize(self, tokens: Sequence[int], *, shows_special: bool = True) -> str:
        """The text of which ``tokenize`` makes these tokens; special ones may be left out."""
        ...


@runtime_checkable
class Embeds(Protocol):
    """A ``TextGenerator`` that also makes embeddings, or knows who does."""

    async def embed(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Answer a request of OpenAI's API in its shape.

        Raises ``RequestError`` and ``EngineFailed``.
        """
        ...


@runtime_checkable
class HasModels(Protocol):
    """A ``TextGenerator`` with several models; by itself it is the default one."""

    async def model(self, name: str) -> TextGenerator:
        """One of them. Raises ``EngineFailed`` where it is gone or broken."""
        ...


class DeliveryLog(Protocol):
    """Deliveries of platforms, each of which is stored once.

    A turn is unique on (adapter, workspace, channel, message id), an event on
    (adapter, event id); both keys outlive ``forget`` and pruning by a day.
    """

    async def accept(self, question: Question) -> Turn | None:
        """Store a question as a queued turn; None if its message was accepted before."""
        ...

    async def accept_event(self, incoming: Incoming) -> bool:
        """Store an event that is not a question; False if it was stored before."""
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

    async def rate(self, turn_id: str, rating: int) -> None: ...


class TurnProgress(Protocol):
    """Turns from queued to finished, and the messages in which their replies are posted."""

    async def turn(self, turn_id: str) -> Turn | None: ...

    async def turns(self, place: Place) -> list[Turn]:
        """The thread's turns in order, from the first that is still kept in the context."""
        ...

    async def unfinished(self) -> list[Turn]:
        """Every queued or running turn, oldest first."""
        ...

    async def begin(self, turn_id: str) -> Turn:
        """State running, ``attempts`` + 1."""
        ...

    async def note_read(
        self, turn_id: str, *, files: Sequence[Source], earlier: Sequence[tuple[str, str]]
    ) -> Turn:
        """Store what was read for the question; ``earlier`` become its remarks."""
        ...

    async def requeue(self, turn_id: str, *, attempts: int | None = None) -> Turn:
        """State queued, reply empty, posts kept; ``attempts`` set if given."""
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
    ) -> None: ...

    async def edit_question(self, turn_id: str, text: str) -> None: ...

    async def keep_from(self, place: Place, number: int) -> None:
        """Leave turns before ``number`` out of later prompts; they stay in the history."""
        ...


class ThreadSettings(Protocol):
    """The personality that people chose for a thread or a channel."""

    async def personality(self, place: Place) -> str | None:
        """The thread's personality, else its channel's, else None."""
        ...

    async def set_personality(self, place: Place, name: str | None) -> None: ...
    async def set_channel_personality(self, place: Place, name: str | None) -> None: ...


class ThreadDirectory(Protocol):
    """Who takes part in a thread, and in which threads a person does."""

    async def speakers(self, place: Place) -> set[str]:
        """The ids of all who asked or remarked in this thread, as far as the history goes."""
        ...

    async def threads(self, person_id: str) -> list[ThreadSummary]: ...


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
    DeliveryLog, TurnProgress, ThreadSettings, ThreadDirectory, Retention, UsageStore, Protocol
):
    """Threads and turns on disk. Every write is committed when its method returns.

    Every method but ``close`` may raise ``StorageError``; a write has then changed nothing.
    """

    async def close(self) -> None: ...


class Conversations(Protocol):
    """The port that adapters call."""

    async def handle(self, incoming: Incoming) -> None:
        """Handle a delivery of a platform; returns once everything that must survive is on disk.

        Raises ``StorageError``: answer the platform with an error, so that it delivers again;
        where it never does, tell the person.
        """
        ...

    async def complete(self, request: CompletionRequest) -> Generation:
        """Answer a program. Raises ``RequestError`` and ``EngineFailed``."""
        ...

    async def complete_all(
        self, request: CompletionRequest, num_answers: int
    ) -> Sequence[Generation]:
        """So many answers to the request, or to each of its prompts; it counts once for limits."""
        ...

    async def embed(
        self, account: str, user: str | None, model: str | None, request: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """See ``Embeds``; it counts for the limits like a request for an answer."""
        ...

    async def tokenizer(
        self, account: str, personality: str | None, model: str | None
    ) -> Tokenizes:
        """That of the model which answers such a ``CompletionRequest``.

        Raises ``RequestError`` and ``EngineFailed``.
        """
        ...

    async def converse(self, question: SessionQuestion) -> Generation:
        """Answer a program in a session that is kept; returns once the question is on disk.

        The turns of a session run in order. Each goes on to its end, unless it is cancelled.
        Raises, here or while it is read, ``RequestError``, ``EngineFailed`` and ``StorageError``.
        """
        ...

    async def forget(self, session: Session) -> int:
        """Delete a session with what is under way in it; how many turns it had."""
        ...

    async def vote(self, account: str, answer_id: str, rating: int) -> None:
        """Keep what a program's people think of an answer: +1, -1, or 0 to take it back.

        Raises ``UnknownAnswer`` unless this account asked for it.
        """
        ...

    def personalities(self) -> tuple[Personality, ...]: ...

    async def threads(self, person: Person) -> list[ThreadSummary]: ...

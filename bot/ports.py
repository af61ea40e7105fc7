"""The Protocols between the parts of Parley.

Each port has as few methods as its caller uses and says what it raises. What only some
platforms can do stands in ``bot.capabilities``, what is kept on disk in ``bot.stores``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, runtime_checkable

from bot.generation import (
    AnyPrompt,
    CompletionRequest,
    Finished,
    GenerationEvent,
    GenerationRequest,
)
from bot.limits import Limits
from bot.markdown.drawing import Drawing
from bot.stored import ThreadSummary
from bot.types import (
    Incoming,
    Label,
    ModelCard,
    Person,
    Personality,
    Place,
    Rendered,
    Session,
    SessionQuestion,
    Standing,
)

Handler = Callable[[Incoming], Awaitable[None]]
"""``Conversations.handle``: returns once what must survive is on disk."""


DescribeModel = Callable[[str | None], Awaitable[ModelCard]]
"""The card of the model of that name, or of the default one. Raises ``EngineFailed``."""


FindStanding = Callable[[Place, Person], Awaitable[Standing]]
"""``Conversations.standing``."""


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


def nowhere(_: Place) -> bool:
    """Parley listens in no channel."""
    return False


def never(_: Place, __: Person) -> str:
    """Parley refuses nobody."""
    return ""


@dataclass(frozen=True, slots=True)
class AdapterContext:
    """For building an adapter. ``settings``: its table, keys as in ``[slack]`` (``bot_token``).

    ``observe(method, status)`` counts one call to the platform. ``folder`` is where an
    adapter may keep what it must know after a restart; it need not exist yet.
    ``personalities`` are those that can be chosen now. ``standing``: None where nobody knows.
    ``listens``: whether messages of the channel need no mention now; others that have none stay
    with the adapter. ``refusal``: why the person may not use Parley in this place, or empty; for
    what an adapter opens before the core hears of it.
    Each adapter package has ``create(context: AdapterContext) -> Adapter``.
    """

    settings: Mapping[str, str]
    observe: Callable[[str, str], None]
    clock: Clock
    folder: Path | None = None
    personalities: Callable[[], tuple[Personality, ...]] = tuple
    standing: FindStanding | None = None
    listens: Callable[[Place], bool] = nowhere
    refusal: Callable[[Place, Person], str] = never


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


async def generator_of(engine: TextGenerator, model: str | None) -> TextGenerator:
    """The engine's model of that name, or its default one. Raises ``EngineFailed``."""
    if model is None or not isinstance(engine, HasModels):
        return engine
    return await engine.model(model)


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

    async def forget_thread(self, place: Place) -> None:
        """Delete any thread with what is under way in it, also one of a chat or a session.

        Raises ``UnknownThread`` and ``StorageError``.
        """
        ...

    async def vote(self, account: str, answer_id: str, rating: int) -> None:
        """Keep what a program's people think of an answer: +1, -1, or 0 to take it back.

        Raises ``UnknownAnswer`` unless this account asked for it.
        """
        ...

    def personalities(self) -> tuple[Personality, ...]: ...

    async def standing(self, place: Place, person: Person) -> Standing:
        """Raises ``AccessDenied``, and ``EngineFailed`` while the model loads."""
        ...

    def listens(self, place: Place) -> bool:
        """Whether messages of this channel need no mention. Cheap: every one of them asks."""
        ...

    def refusal_of(self, place: Place, person: Person) -> str:
        """Why the person may not use Parley in this place, in one sentence; empty if they may."""
        ...

    async def threads(self, person: Person) -> list[ThreadSummary]: ...

"""What only some platforms can do: small Protocols, looked up by ``Capabilities``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self, runtime_checkable

from bot.ports import Adapter
from bot.types import Attachment, Choice, Label, Person, Place, Rendered, ReplyEnd


@runtime_checkable
class Whispers(Protocol):
    """A platform that can show a message to one person only.

    ``can_whisper_unasked``: to who awaits no answer, too; elsewhere everybody would read that.
    """

    can_whisper_unasked: bool

    async def whisper(
        self, place: Place, person: Person, text: Rendered, choices: Sequence[Choice] = ()
    ) -> None:
        """``choices``: buttons under it, where the platform has them."""
        ...


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
    text, in a new message if ``message_id`` is None, and answers with its id; ``end`` is what
    comes with a reply's last message, None where others follow. So buttons (Stop while it
    grows, others once it has ended) cost no calls of their own. Rate rules count all of them
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
        end: ReplyEnd | None = None,
    ) -> str: ...


@runtime_checkable
class CountsGrowth(Protocol):
    """A platform whose rate rules count some growth otherwise than as edits."""

    def growth_method(self, message_id: str) -> str:
        """As what the next ``grow`` of this message counts: ``edit``, or a name of its own."""
        ...


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
class EndsAsFile(Protocol):
    """A platform on which a very long answer may end as an attached file."""

    @property
    def file_above(self) -> int:
        """Messages of an answer above which it does; 0: never."""
        ...

    async def post_file(
        self, place: Place, name: str, data: bytes, label: Label, end: ReplyEnd
    ) -> str:
        """Post into the thread, as the end of the reply; the message id."""
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
class PostsQuestions(Protocol):
    """A platform on which people can ask without writing a message."""

    async def post_question(
        self, place: Place, person: Person, text: str, label: Label, *, search_first: bool = False
    ) -> tuple[Place, Person, str]:
        """A ``post`` of what the person asks: its thread, the person by name, the message id.

        ``search_first``: it may stand there already, with this label.
        """
        ...


@runtime_checkable
class CatchesUp(Protocol):
    """A platform on which a person can be told in private what was said in a channel."""

    async def lately(self, place: Place, person: Person) -> Sequence[tuple[str, str]]:
        """``(name, text)`` of the channel's newest messages, oldest first; bounded.

        ``AccessDenied`` if the platform keeps them from Parley, or from the person.
        """
        ...

    async def open_private(self, place: Place, person: Person) -> tuple[Place, str]:
        """Where this person alone reads what follows: where they asked, without a ``post``, or in
        a direct message, after one that names the channel of ``place``. ``NotPermitted`` if they
        take none.
        """
        ...


@runtime_checkable
class MayBeDeaf(Protocol):
    """A platform that may keep from Parley what does not mention it."""

    def why_deaf(self) -> str:
        """Why it does, and what helps, in one sentence; empty if it does not."""
        ...


@runtime_checkable
class FetchesFiles(Protocol):
    """A platform whose attachments can be read."""

    async def fetch(self, attachment: Attachment, max_size: int) -> bytes:
        """The file; ``PlatformError`` if it cannot be had or is larger than ``max_size``."""
        ...


@runtime_checkable
class TellsTrouble(Protocol):
    """An adapter that can work in part."""

    @property
    def trouble(self) -> str:
        """What does not work at the moment, though the adapter is up; else empty."""
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
    counts_growth: CountsGrowth | None
    offers: OffersChoices | None
    finds_posts: FindsPosts | None
    edit_deadlines: HasEditDeadlines | None
    ends_as_file: EndsAsFile | None
    earlier_messages: HasEarlierMessages | None
    posts_questions: PostsQuestions | None
    catches_up: CatchesUp | None
    may_be_deaf: MayBeDeaf | None
    files: FetchesFiles | None
    troubled: TellsTrouble | None
    web: HasRoutes | None

    @classmethod
    def of(cls, adapter: Adapter) -> Self:
        """Looks at the adapter each time; keep the answer where calls are frequent."""
        return cls(
            whispers=adapter if isinstance(adapter, Whispers) else None,
            reacts=adapter if isinstance(adapter, Reacts) else None,
            grows=adapter if isinstance(adapter, GrowsReplies) else None,
            counts_growth=adapter if isinstance(adapter, CountsGrowth) else None,
            offers=adapter if isinstance(adapter, OffersChoices) else None,
            finds_posts=adapter if isinstance(adapter, FindsPosts) else None,
            edit_deadlines=adapter if isinstance(adapter, HasEditDeadlines) else None,
            ends_as_file=adapter if isinstance(adapter, EndsAsFile) else None,
            earlier_messages=adapter if isinstance(adapter, HasEarlierMessages) else None,
            posts_questions=adapter if isinstance(adapter, PostsQuestions) else None,
            catches_up=adapter if isinstance(adapter, CatchesUp) else None,
            may_be_deaf=adapter if isinstance(adapter, MayBeDeaf) else None,
            files=adapter if isinstance(adapter, FetchesFiles) else None,
            troubled=adapter if isinstance(adapter, TellsTrouble) else None,
            web=adapter if isinstance(adapter, HasRoutes) else None,
        )

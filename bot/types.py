"""Frozen values that adapters, conversation, history and inference exchange.

Nothing here does I/O or imports anything of ours but such values. Times are aware UTC datetimes
named ``*_at``; durations are seconds as ``float``; counts are ``num_*``; limits are ``max_*``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NewType
from urllib.parse import quote, unquote

from bot.answer_formats import AnswerFormat
from bot.generation import Sampling
from bot.source import KnownSource, Source

Rendered = NewType("Rendered", str)
"""Text in a platform's own markup, made by ``Adapter.render``; the only thing ever posted."""

NOTICE = "command-"


def _escape(part: str) -> str:
    return quote(part, safe=":;@.,=+-_~!$'()*")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a thread is. Text form: ``adapter:workspace/channel/thread``."""

    adapter: str
    workspace: str
    channel: str
    thread: str

    def __str__(self) -> str:
        parts = (self.workspace, self.channel, self.thread)
        return f"{self.adapter}:{'/'.join(map(_escape, parts))}"

    @property
    def channel_form(self) -> str:
        """``slack:T01/C01``: the channel without the thread, as access rules name it."""
        return f"{self.adapter}:{_escape(self.workspace)}/{_escape(self.channel)}"

    @property
    def workspace_form(self) -> str:
        """``slack:T01``: the workspace, as access rules name it."""
        return f"{self.adapter}:{_escape(self.workspace)}"

    @classmethod
    def parse(cls, text: str) -> Place:
        """Read the text form; ValueError with one sentence if it is not one."""
        adapter, colon, rest = text.partition(":")
        parts = rest.split("/")
        if not (adapter and colon and len(parts) == 3):
            raise ValueError(f"{text!r} is not of the form adapter:workspace/channel/thread")
        workspace, channel, thread = map(unquote, parts)
        return cls(adapter, workspace, channel, thread)


@dataclass(frozen=True, slots=True)
class Person:
    """A person. ``id`` is the text form ``adapter:workspace/user``, unique everywhere."""

    id: str
    name: str = ""
    role_ids: tuple[str, ...] = ()
    is_moderator: bool = field(default=False, compare=False)
    """The platform lets them delete other people's messages here."""

    is_bot: bool = field(default=False, compare=False)
    """A program that posts; nobody reads what it is told alone."""

    def __str__(self) -> str:
        return self.id

    @classmethod
    def at(
        cls,
        place: Place,
        user: str,
        name: str = "",
        role_ids: tuple[str, ...] = (),
        *,
        is_bot: bool = False,
    ) -> Person:
        """The person with the platform's id ``user`` in the workspace of ``place``."""
        user_form = f"{place.workspace_form}/{_escape(user)}"
        return cls(user_form, name or user, role_ids, is_bot=is_bot)


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that came with a question; ``size`` in bytes."""

    name: str
    media_type: str
    size: int
    url: str


@dataclass(frozen=True, slots=True)
class Unread:
    """The inputs of a question that are fetched once it is on disk, before it is answered.

    ``earlier``: the messages of its thread from before Parley took part in it.
    """

    attachments: tuple[Attachment, ...] = ()
    earlier: bool = False

    def __bool__(self) -> bool:
        return bool(self.attachments) or self.earlier


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """A delivery of a platform, normalised. ``event_id`` is unique per delivery event.

    ``awaits_answer``: the platform shows an answer as on its way until there is one.
    """

    event_id: str
    place: Place
    person: Person
    awaits_answer: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Question(Incoming):
    """A message for Parley, own mention removed.

    A message that neither mentions Parley nor is direct belongs to Parley only if its
    thread does already; if it mentions somebody else it is context, not a question. One that
    ``begins_thread`` belongs to Parley, too, where an admin had it listen, unless it mentions
    somebody else.
    ``personality`` answers in this thread from now on. ``wants_earlier``: the messages of the
    thread from before Parley took part in it are to be fetched. ``barred``: why Parley does not
    answer in a place like this, in one sentence.
    """

    text: str
    message_id: str
    sent_at: datetime
    is_direct: bool = False
    is_mention: bool = False
    mentions_others: bool = False
    begins_thread: bool = False
    attachments: tuple[Attachment, ...] = ()
    personality: str | None = None
    wants_earlier: bool = False
    barred: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command(Incoming):
    """Something a person says besides asking: ``name`` as in ``bot.turns.commands``.

    ``is_private``: nobody else has read it, so nobody else reads the answer; and it can be said
    outside of threads only. ``about``: the thread that it was taken to mean, by its beginning.
    ``is_direct``: between the person and Parley alone.
    """

    name: str
    argument: str = ""
    is_direct: bool = False
    is_private: bool = False
    about: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpostedQuestion(Incoming):
    """A question that is no message: it is posted in the person's name, and answered below.

    ``quoted``: what goes with it without being posted. Without a thread it begins one.
    """

    text: str
    quoted: str = ""
    is_direct: bool = False
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRequest(Incoming):
    """Stop the turn whose question or reply is ``message_id``.

    The adapter sets ``reaction`` to the platform's name of the reaction; which reactions
    mean stop is a setting, and some are judgements. ``None``: a button or the like that can only
    mean stop.
    """

    message_id: str
    reaction: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionEdited(Incoming):
    """The message ``message_id`` reads ``text`` now (own mention removed).

    ``becomes``: the delivery that this message would be now, were it new; None: one that is
    not for Parley.
    """

    message_id: str
    text: str
    becomes: Question | Command | StopRequest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionDeleted(Incoming):
    """The message ``message_id`` is gone; ``person`` may be unknown (empty name)."""

    message_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback(Incoming):
    """A judgement on the reply ``message_id``: +1, -1, or 0 to take it back.

    ``reaction``: the platform's name of the one that was taken away; whether that was a judgement
    is for the core to say. ``is_pressed``: a button, which pressed again takes it back.
    """

    message_id: str
    rating: int
    reaction: str | None = None
    is_pressed: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """A button under a message. Who presses it has said ``says``."""

    title: str
    says: str


@dataclass(frozen=True, slots=True)
class Label:
    """Metadata by which a post can be found again: its turn, and which part of the reply it is.

    ``question_id`` is the message that is answered, where it is known, and ``asker`` who asked.
    A notice is no reply: its ``turn_id`` is ``NOTICE`` and the event that it is about.
    """

    turn_id: str
    part: int
    question_id: str | None = field(default=None, compare=False)
    asker: Person | None = field(default=None, compare=False)

    @property
    def is_notice(self) -> bool:
        return self.turn_id.startswith(NOTICE)


@dataclass(frozen=True, slots=True)
class ReplyEnd:
    """What comes with the last message of a reply that has ended, beside its text.

    ``sources``: what the model used. ``can_continue``: it can go on where the reply was stopped
    or cut off.
    """

    sources: tuple[Source, ...] = ()
    can_continue: bool = False


PLAIN_END = ReplyEnd()


@dataclass(frozen=True, slots=True)
class ExampleTurn:
    """A question and its answer, as if they stood at the beginning of every thread."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Personality:
    """A system prompt with a name; loaded from ``personalities/<name>.md``.

    ``reasoning``: how much people see of the model's reasoning. ``folded``: its last words
    while it reasons, and one line once it answers. ``facts``: the folder of its fact base, as it
    is written in the file. ``answers`` ``quoted``: they consist of quotations from that.
    ``strategy``: ``route`` has ``remote`` answer, a model of ``PARLEY_REMOTE_URL``, what the local
    one answers badly; with ``shows_both`` people see both answers. ``plan``: the steps of a plan
    are solved at once, ``max_steps`` at most.
    """

    name: str
    title: str
    prompt: str
    description: str = ""
    language: str = "en"
    greeting: str = ""
    suggested_questions: tuple[str, ...] = ()
    examples: tuple[ExampleTurn, ...] = ()
    sampling: Sampling = Sampling()
    loop_guard: bool = True
    reasoning: Literal["hidden", "shown", "folded"] = "hidden"
    model: str | None = None
    """Its name; None: the default one."""
    model_source: str | None = None
    """Where it comes from, if that is the hub."""
    sources: tuple[KnownSource, ...] = ()
    facts: str | None = None
    answers: Literal["free", "quoted"] = "free"
    strategy: Literal["direct", "route", "plan"] = "direct"
    remote: str | None = None
    shows_both: bool = False
    max_steps: int = 8


@dataclass(frozen=True, slots=True)
class Standing:
    """What a person finds in a place. ``left``: how much more they may ask, in words.

    ``retention_days``: after which turns are deleted; 0: never.
    """

    personality: Personality
    model: str
    left: str
    retention_days: float = 0


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A model that answers, as far as its file says it; ``file`` without its folder.

    ``context``: tokens of one thread. ``size``: the number of its parameters, such as ``135M``.
    """

    name: str
    file: str | None = None
    context: int | None = None
    title: str | None = None
    organization: str | None = None
    license: str | None = None
    architecture: str | None = None
    size: str | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """A thread of a program, under a ``key`` of its own or of its choice (without ``/``).

    Only ``account`` (an API key's name, ``local``, or who has signed in) finds it again by its
    key; to everybody else that is the key of another session. So it is with another
    ``personality``.
    """

    account: str
    personality: str
    key: str

    @property
    def place(self) -> Place:
        return Place("http", self.account, self.personality, self.key)

    @property
    def person(self) -> Person:
        """Whom access rules and limits mean."""
        return Person(self.place.workspace_form, self.account)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionQuestion:
    """What a program asks in a session; its turn is stored.

    ``answer_format`` None: free text; ``max_tokens`` None: the usual cap. ``sites``: domains; of
    the personality's own sources only those there are read. ``needs_pages``: it is refused where
    a page that it names cannot be read.
    """

    session: Session
    text: str
    answer_format: AnswerFormat | None = None
    max_tokens: int | None = None
    route: str = ""
    sites: tuple[str, ...] = ()
    needs_pages: bool = False


@dataclass(frozen=True, slots=True)
class AdapterState:
    """The state of an adapter in ``/readyz``: ``off``, ``starting``, ``up`` or ``down``."""

    name: str
    status: Literal["off", "starting", "up", "down"]
    detail: str = ""
    data: dict[str, str] = field(default_factory=dict)

"""Frozen values that adapters, conversation, history and inference exchange.

Nothing here does I/O or imports anything of ours. Times are aware UTC datetimes named
``*_at``; durations are seconds as ``float``; counts are ``num_*``; limits are ``max_*``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, NewType
from urllib.parse import quote, unquote

Rendered = NewType("Rendered", str)
"""Text in a platform's own markup, made by ``Adapter.render``; the only thing ever posted."""

Role = Literal["system", "user", "assistant", "tool"]
Scope = Literal["workspace", "channel", "message"]

NOTICE = "command-"


class FinishReason(StrEnum):
    """Why the model's text ended."""

    STOP = "stop"
    LENGTH = "length"
    CANCELLED = "cancelled"
    ERROR = "error"
    LOOPED = "looped"


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

    def __str__(self) -> str:
        return self.id

    @classmethod
    def at(
        cls,
        place: Place,
        user: str,
        name: str = "",
        role_ids: tuple[str, ...] = (),
    ) -> Person:
        """The person with the platform's id ``user`` in the workspace of ``place``."""
        return cls(f"{place.workspace_form}/{_escape(user)}", name or user, role_ids)


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
    thread does already; if it mentions somebody else it is context, not a question.
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
    attachments: tuple[Attachment, ...] = ()
    personality: str | None = None
    wants_earlier: bool = False
    barred: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command(Incoming):
    """Something a person says besides asking: ``name`` as in ``bot.turns.commands``."""

    name: str
    argument: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRequest(Incoming):
    """Stop the turn whose question or reply is ``message_id``.

    The adapter sets ``reaction`` to the platform's name of the reaction; which reactions
    mean stop is a setting. ``None``: a button or the like that can only mean stop.
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
    """A judgement on the reply ``message_id``: +1, -1, or 0 to take it back."""

    message_id: str
    rating: int


@dataclass(frozen=True, slots=True)
class Choice:
    """A button under a message. Who presses it has said ``says``."""

    title: str
    says: str


@dataclass(frozen=True, slots=True)
class Label:
    """Metadata by which a post can be found again: its turn, and which part of the reply it is.

    ``question_id`` is the message that is answered, where it is known. A notice is no reply:
    its ``turn_id`` is ``NOTICE`` and the event that it is about.
    """

    turn_id: str
    part: int
    question_id: str | None = field(default=None, compare=False)

    @property
    def is_notice(self) -> bool:
        return self.turn_id.startswith(NOTICE)


@dataclass(frozen=True, slots=True)
class Source:
    """A file that a reply is made from; ``excerpt``: the part of its text in the prompt.

    ``is_cut``: there is more of it, which is left out.
    """

    name: str
    excerpt: str
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class RateRule:
    """At most ``max_calls`` of ``methods`` (names of Adapter methods) in ``seconds``, per scope."""

    methods: frozenset[str]
    scope: Scope
    max_calls: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a platform; a test may shorten every number.

    ``max_size``: rendered characters of one message. ``edit_interval``: seconds below which
    another edit of the same message is not worth a call. ``ack_deadline``: seconds within
    which a delivery must be answered. ``edit_deadline``: seconds after which an edit of a
    message is refused, if any. ``call_timeout``: seconds after which a call is given up.
    """

    max_size: int
    rules: tuple[RateRule, ...] = ()
    edit_interval: float = 0.7
    ack_deadline: float = 3.0
    edit_deadline: float | None = None
    call_timeout: float = 10.0


@dataclass(frozen=True, slots=True)
class Tool:
    """A function of a program, which the model may ask for.

    ``parameters`` is the JSON schema of its arguments, as JSON text. If that cannot be followed,
    the arguments are any JSON object, unless the tool ``is_strict``: it is refused then.
    """

    name: str
    description: str = ""
    parameters: str = '{"type": "object"}'
    is_strict: bool = False


@dataclass(frozen=True, slots=True)
class ToolUse:
    """The ``tools`` that the model is told of, and whether it calls them.

    ``callable`` names those that it may call; it calls one at least if that ``is_required``, and
    one at most unless ``is_parallel``.
    """

    tools: tuple[Tool, ...]
    callable: frozenset[str]
    is_required: bool = False
    is_parallel: bool = True


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the model has made; ``arguments`` is JSON text."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message, as the chat template takes it. ``is_open``: the reply continues it.

    ``calls`` are those of an assistant's message; one of the role ``tool`` says what came of the
    call ``call_id``. ``tools``: a system message, if only an empty one, tells the model of them.
    """

    role: Role
    content: str
    is_open: bool = False
    calls: tuple[ToolCall, ...] = ()
    call_id: str = ""
    tools: tuple[Tool, ...] = ()


@dataclass(frozen=True, slots=True)
class RawPrompt:
    """A prompt without a chat template: a text, or the tokens themselves.

    ``suffix``: what follows the answer, which fills the gap between both. A text gets the tokens
    that the vocabulary begins every text with if it ``adds_special``; texts of special tokens
    become those if it ``parses_special``, since this text is the program's own.
    """

    content: str | tuple[int, ...]
    suffix: str | None = None
    adds_special: bool = True
    parses_special: bool = True


AnyPrompt = Sequence[ChatMessage] | RawPrompt


BANNED = -1e9
"""The bias of a token that is never chosen while there is another; finite, so that sums stay so."""

_GREEDY_BELOW = 1e-5


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen; names and meanings are llama.cpp's.

    ``top_k`` 0, ``top_p`` 1, ``min_p`` 0, ``typical_p`` 1, ``xtc_probability`` 0,
    ``repeat_penalty`` 1, ``dry_multiplier`` 0 and ``mirostat`` 0 switch that sampler off; with
    ``mirostat`` on, those that leave out tokens are off. ``repeat_last_n`` (of all three
    penalties) and ``dry_penalty_last_n`` count the reply's tokens, -1 for all. ``logit_bias``
    has tokens, each an id or a text of one or more, with what is added to their logits.
    ``seed`` None: a random one.
    """

    temperature: float = 0.7
    top_k: int = 40
    top_p: float = 0.95
    min_p: float = 0.05
    typical_p: float = 1.0
    xtc_probability: float = 0.0
    xtc_threshold: float = 0.1
    repeat_penalty: float = 1.0
    repeat_last_n: int = 256
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    dry_multiplier: float = 0.0
    dry_base: float = 1.75
    dry_allowed_length: int = 2
    dry_penalty_last_n: int = 256
    dry_sequence_breakers: tuple[str, ...] = ("\n", ":", '"', "*")
    mirostat: int = 0
    mirostat_tau: float = 5.0
    mirostat_eta: float = 0.1
    logit_bias: tuple[tuple[int | str, float], ...] = ()
    seed: int | None = None

    @property
    def is_greedy(self) -> bool:
        """The likeliest token is chosen, as it would be at a temperature too low for float32."""
        return self.temperature < _GREEDY_BELOW


@dataclass(frozen=True, slots=True)
class ExampleTurn:
    """A question and its answer, as if they stood at the beginning of every thread."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Personality:
    """A system prompt with a name; loaded from ``personalities/<name>.md``.

    ``reasoning``: how much people see of the model's reasoning. ``folded``: its last words
    while it reasons, and one line once it answers.
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
class JsonObject:
    """The answer is any JSON object."""


@dataclass(frozen=True, slots=True)
class JsonSchema:
    """The answer is JSON, valid under ``schema``, which is JSON text itself."""

    schema: str


@dataclass(frozen=True, slots=True)
class OneOf:
    """The answer is exactly one of ``options``."""

    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Grammar:
    """The answer follows ``rules``, written in llama.cpp's GBNF or in llguidance's Lark."""

    rules: str


@dataclass(frozen=True, slots=True)
class Regex:
    """The whole answer matches ``expression``."""

    expression: str


AnswerFormat = JsonObject | JsonSchema | OneOf | Grammar | Regex


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """A request to the engine, which is fair to each ``person``.

    The prompt is ``raw`` or, if that is None, made of ``messages`` in the chat template.
    ``thread`` names the thread whose KV cache may be reused; cells evaluated for others are
    reused only within ``scope`` (a workspace, a key). ``answer_format`` None: free text.
    ``model`` None: the default one. ``loop_guard``: a reply that only repeats itself is ended.
    ``tool_use`` None: no tool is called, though the messages may tell of some.
    ``asked_sampling``: the fields of ``sampling`` that an engine must refuse if it lacks them.
    ``shares_prompt``: other requests with the same messages come at the same time.
    ``num_logprobs``: how many of the likeliest tokens come with each token of the answer, with
    their probabilities; None: no probabilities at all.
    """

    messages: tuple[ChatMessage, ...] = ()
    raw: RawPrompt | None = None
    person: str
    thread: str | None = None
    scope: str = ""
    sampling: Sampling = Sampling()
    asked_sampling: frozenset[str] = frozenset()
    num_logprobs: int | None = None
    shares_prompt: bool = False
    max_tokens: int = 512
    stop: tuple[str, ...] = ()
    answer_format: AnswerFormat | None = None
    tool_use: ToolUse | None = None
    model: str | None = None
    loop_guard: bool = True

    @property
    def prompt(self) -> AnyPrompt:
        return self.messages if self.raw is None else self.raw

    @property
    def continues(self) -> bool:
        """The reply continues the last message, which is the assistant's."""
        return any(message.is_open for message in self.messages[-1:])

    @property
    def begun(self) -> str | None:
        """The text that the reply continues, if any; an empty one has no reasoning before it."""
        return self.messages[-1].content if self.continues else None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one generation; ``cached_tokens`` of the prompt came from the KV cache.

    ``reasoning_tokens`` are the tokens of the completion that do not belong to the answer.
    """

    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0


def total_usage(usages: Sequence[Usage]) -> Usage:
    """That of several answers to one prompt, which counts once."""
    return replace(
        usages[0],
        completion_tokens=sum(usage.completion_tokens for usage in usages),
        reasoning_tokens=sum(usage.reasoning_tokens for usage in usages),
    )


def joint_usage(usages: Sequence[Usage], num_answers: int) -> Usage:
    """That of several prompts, of which each has so many answers that follow each other."""
    starts = range(0, len(usages), num_answers)
    totals = [total_usage(usages[start : start + num_answers]) for start in starts]
    return Usage(
        sum(total.prompt_tokens for total in totals),
        sum(total.cached_tokens for total in totals),
        sum(total.completion_tokens for total in totals),
        sum(total.reasoning_tokens for total in totals),
    )


@dataclass(frozen=True, slots=True)
class Queued:
    """Waiting: ``place`` 1 is next; ``wait`` an estimate in seconds, None while unknown.

    ``loading``: the model that has to be loaded before the answer begins, if any.
    """

    place: int
    wait: float | None = None
    loading: str = ""


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token's bytes and the logarithm of its probability; the likeliest tokens beside it."""

    piece: bytes
    logprob: float
    likeliest: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class Delta:
    """More text of the answer, never half a character.

    ``logprobs``: those of its tokens, if the request asks for them.
    """

    text: str
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class Reasoning:
    """More of the model's reasoning, which does not belong to the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """More of the answer's call number ``index``; its ``id`` and ``name`` come with the first."""

    index: int
    arguments: str = ""
    id: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Finished:
    """The last event of a generation.

    ``detail``: a sentence for ``FinishReason.ERROR``, and for a ``CANCELLED`` that its asker has
    not caused.
    ``num_repeated``: characters at the end of the text that only repeat what stands before.
    ``queue_seconds``: how long the engine let it wait; None where it never began.
    """

    reason: FinishReason
    usage: Usage = Usage()
    detail: str = ""
    num_repeated: int = 0
    queue_seconds: float | None = None


Said = Reasoning | Delta | ToolCallDelta
GenerationEvent = Queued | Said | Finished


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionRequest:
    """A request of a program: stateless, none of its text is stored.

    ``account`` is the API key's name (or ``local``), ``user`` the OpenAI field: together they
    are the person. ``personality`` None: none; ``model`` None: that of the personality, or
    the default. ``sampling``: fields of ``Sampling``; others are those of ``default_sampling``, the
    personality's, or the default, and so is ``loop_guard`` None. ``continues``: the reply continues
    the last message, which is the assistant's. ``cache_salt``: what is evaluated for this request
    is reused only for others of the account with the same one. The usage log has ``route``, by
    which the program asks, and ``answer_id``, which it is told. With ``prompts`` instead of
    messages each of them is answered, in their order, without the personality's prompt.
    """

    account: str
    messages: tuple[ChatMessage, ...] = ()
    prompts: tuple[RawPrompt, ...] = ()
    user: str | None = None
    personality: str | None = None
    model: str | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)
    default_sampling: Mapping[str, Any] = field(default_factory=dict)
    num_logprobs: int | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    thread: str | None = None
    cache_salt: str | None = None
    answer_format: AnswerFormat | None = None
    tool_use: ToolUse | None = None
    loop_guard: bool | None = None
    continues: bool = False
    route: str = field(default="", compare=False)
    answer_id: str = field(default="", compare=False)


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

    ``answer_format`` None: free text; ``max_tokens`` None: the usual cap.
    """

    session: Session
    text: str
    answer_format: AnswerFormat | None = None
    max_tokens: int | None = None
    route: str = ""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A question and its reply, as stored. ``number`` counts within the thread from 1.

    ``text`` is the question, ``files`` what was read of the files that came with it, ``reply``
    the Markdown shown so far. ``remarks`` are messages posted in the thread before this question
    and not addressed to Parley, as ``(name, text)``. ``unread`` is still to be fetched.
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


@dataclass(frozen=True, slots=True)
class ThreadSummary:
    """One thread in the list that ``threads`` shows."""

    place: Place
    personality: str
    num_turns: int
    title: str = ""
    last_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AdapterState:
    """The state of an adapter in ``/readyz``: ``off``, ``starting``, ``up`` or ``down``."""

    name: str
    status: Literal["off", "starting", "up", "down"]
    detail: str = ""
    data: dict[str, str] = field(default_factory=dict)

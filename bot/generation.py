"""What is asked of a model, and what it answers: frozen values.

Nothing here does I/O or imports anything of ours but such values. Durations are seconds as
``float``; counts are ``num_*``; limits are ``max_*``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Literal

from bot.answer_formats import AnswerFormat

Role = Literal["system", "user", "assistant", "tool"]


class FinishReason(StrEnum):
    """Why the model's text ended."""

    STOP = "stop"
    LENGTH = "length"
    CANCELLED = "cancelled"
    ERROR = "error"
    LOOPED = "looped"


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
    their probabilities; None: no probabilities at all. ``is_background``: it waits behind all
    others, and gives up its place to them.
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
    is_background: bool = False

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
    """Waiting: ``place`` 1 is next, at 0 the prompt is being read; ``wait`` an estimate in
    seconds, None while unknown.

    ``loading``: the model that has to be loaded before the answer begins, if any.
    """

    place: int
    wait: float | None = None
    loading: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """What is done before the answer begins, for people: ``reading example.org``.

    The first letter is lower case where the language has it so, and no full stop ends it.
    """

    text: str


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
    ``model``: who answered, where that is not the model that was asked.
    """

    reason: FinishReason
    usage: Usage = Usage()
    detail: str = ""
    num_repeated: int = 0
    queue_seconds: float | None = None
    model: str = ""


Said = Reasoning | Delta | ToolCallDelta


GenerationEvent = Queued | Progress | Said | Finished


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
    ``is_background``: as that of a ``GenerationRequest``. ``needs_pages``: it is refused where a
    page whose address it has cannot be read.
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
    is_background: bool = False
    needs_pages: bool = False
    route: str = field(default="", compare=False)
    answer_id: str = field(default="", compare=False)

"""The bodies of requests for text, as strict as a program's author needs them to be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, ConfigDict, Field

from adapters.http.common.errors import InvalidBody
from adapters.http.openai.answer_formats import (
    Choice,
    ResponseFormat,
    Schema,
    SchemaOrText,
    StructuredOutputs,
    as_choice,
    as_schema,
)
from adapters.http.openai.messages import MessageBody, Name, StrictBody, chat_messages
from adapters.http.openai.other_keys import (
    describe_in_body,
    refuse_in_body,
    refuse_in_stream_options,
    unless_empty,
)
from adapters.http.openai.reading import read_as, the_one
from adapters.http.openai.tools import ToolKeys
from bot.answer_formats import AnswerFormat, Grammar, Regex
from bot.errors import UnsupportedFormat
from bot.generation import ChatMessage
from bot.sampling import Mirostat, RepeatPenalty, SamplingFields

_MAX_MESSAGES = 4096
_EXAMPLES: list[Any] = [[{"role": "user", "content": "Hello!"}]]
_MAX_STOPS = 4
_MAX_ANSWERS = 16
_NUM_SEEDS = 0xFFFFFFFF  # llama.cpp's last 32-bit seed means a random one
_NEEDS_CONTINUING = "must be true, unless continue_final_message is true"
_CONTRADICTS = "and continue_final_message contradict each other; please send one of them as true"
_NOTHING_TO_CONTINUE = "needs a last message of the role 'assistant' that is text"


def _as_texts(stop: object) -> object:
    """A list without empty texts; None if nothing is left."""
    texts = [stop] if isinstance(stop, str) else stop
    if isinstance(texts, list):
        return [text for text in texts if text != ""] or None
    return texts


def _unless_unlimited(number: object) -> object:
    return None if number == -1 else number


StopTexts = Annotated[
    list[Name] | None,
    Field(max_length=_MAX_STOPS),
    BeforeValidator(_as_texts, json_schema_input_type=str | list[str] | None),
]
TokenLimit = Annotated[int, Field(ge=1)]
OpenTokenLimit = Annotated[TokenLimit | None, BeforeValidator(_unless_unlimited)]
Rules = Annotated[str | None, BeforeValidator(unless_empty)]
FLEX = "flex"
"""OpenAI's word for an answer that may take its time; other tiers are all the same here."""
Seed = Annotated[int, Field(ge=-(2**63), lt=2**63)]


class StreamOptions(StrictBody):
    include_usage: bool | None = None


class GenerationBody(SamplingFields, StrictBody):
    """What is asked for is text, whatever comes before it.

    Beside OpenAI's keys, those of other servers that mean the same; ``loop_guard`` is ours.
    """

    model_config = ConfigDict(json_schema_extra=describe_in_body)

    model: Name | None = None
    user: Annotated[Name | None, BeforeValidator(unless_empty)] = None
    cache_salt: Annotated[Name | None, BeforeValidator(unless_empty)] = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    repetition_penalty: RepeatPenalty | None = None
    mirostat_mode: Mirostat | None = None
    seed: Seed | None = None
    random_seed: Seed | None = None
    max_completion_tokens: TokenLimit | None = None
    max_tokens: TokenLimit | None = None
    max_new_tokens: TokenLimit | None = None
    n_predict: OpenTokenLimit = None
    num_predict: OpenTokenLimit = None
    n: Annotated[int, Field(ge=1, le=_MAX_ANSWERS)] | None = None
    stop: StopTexts = None
    stop_sequences: StopTexts = None
    response_format: ResponseFormat | None = None
    json_schema: Annotated[Schema | None, BeforeValidator(unless_empty)] = None
    guided_json: Annotated[SchemaOrText | None, BeforeValidator(unless_empty)] = None
    guided_choice: Annotated[Choice | None, BeforeValidator(unless_empty)] = None
    guided_regex: Rules = None
    guided_grammar: Rules = None
    grammar: Rules = None
    structured_outputs: StructuredOutputs | None = None
    loop_guard: bool | None = None
    service_tier: str | None = None

    @property
    def include_usage(self) -> bool:
        return bool(self.stream_options and self.stream_options.include_usage)

    @property
    def is_background(self) -> bool:
        return self.service_tier == FLEX

    @property
    def answer_format(self) -> AnswerFormat | None:
        return the_one(self._formats)

    @contextmanager
    def naming_format(self) -> Iterator[None]:
        """A format that is refused is named by the key that asked for it."""
        try:
            yield
        except UnsupportedFormat as refusal:
            asked = (key for key, form in self._formats.items() if form is not None)
            raise UnsupportedFormat(str(refusal), name=next(asked, refusal.name)) from None

    @property
    def _formats(self) -> Mapping[str, AnswerFormat | None]:
        form, more = self.response_format, self.structured_outputs
        return {
            "response_format": form.as_answer_format() if form else None,
            "json_schema": as_schema(self.json_schema) if self.json_schema else None,
            "guided_json": as_schema(self.guided_json) if self.guided_json else None,
            "guided_choice": as_choice(self.guided_choice) if self.guided_choice else None,
            "guided_regex": Regex(self.guided_regex) if self.guided_regex else None,
            "guided_grammar": Grammar(self.guided_grammar) if self.guided_grammar else None,
            "grammar": Grammar(self.grammar) if self.grammar else None,
            "structured_outputs": more.as_answer_format() if more else None,
        }

    @property
    def sampling(self) -> dict[str, Any]:
        """The fields of ``Sampling`` that are set. llama.cpp's -1 asks for a random seed."""
        same = {
            "repeat_penalty": "repetition_penalty",
            "mirostat": "mirostat_mode",
            "seed": "random_seed",
        }
        chosen = self.chosen()
        for name, other in same.items():
            value = the_one({name: getattr(self, name), other: getattr(self, other)})
            if value is not None:
                chosen[name] = value
        if "seed" in chosen:
            chosen["seed"] = None if chosen["seed"] == -1 else chosen["seed"] % _NUM_SEEDS
        return chosen

    @property
    def token_limit(self) -> int | None:
        """``max_completion_tokens`` is the newer name, so it wins."""
        if self.max_completion_tokens:
            return self.max_completion_tokens
        names = ("max_tokens", "max_new_tokens", "n_predict", "num_predict")
        return the_one({name: getattr(self, name) for name in names})

    @property
    def stop_texts(self) -> tuple[str, ...]:
        texts = the_one({"stop": self.stop, "stop_sequences": self.stop_sequences})
        return tuple(texts or ())


class ChatBody(GenerationBody, ToolKeys):
    messages: Annotated[
        list[MessageBody], Field(min_length=1, max_length=_MAX_MESSAGES, examples=_EXAMPLES)
    ]
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    continue_final_message: bool | None = None
    add_generation_prompt: bool | None = None

    @property
    def chat_messages(self) -> tuple[ChatMessage, ...]:
        return chat_messages(self.messages)

    @property
    def continues(self) -> bool:
        """The reply continues the last message, whose end the template then leaves out."""
        if not self.continue_final_message:
            if self.add_generation_prompt is False:
                raise _not_continued("add_generation_prompt", _NEEDS_CONTINUING)
            return False
        if self.add_generation_prompt:
            raise _not_continued("add_generation_prompt", _CONTRADICTS)
        if self.messages[-1].role != "assistant" or self.messages[-1].calls:
            raise _not_continued("continue_final_message", _NOTHING_TO_CONTINUE)
        return True

    @property
    def num_logprobs(self) -> int | None:
        if self.top_logprobs and not self.logprobs:
            raise InvalidBody("top_logprobs needs logprobs to be true.", param="top_logprobs")
        return (self.top_logprobs or 0) if self.logprobs else None


def _not_continued(name: str, why: str) -> InvalidBody:
    return InvalidBody(f"{name} {why}.", param=name)


Asked = TypeVar("Asked", bound=GenerationBody)


def parse(raw: bytes) -> ChatBody:
    return parse_as(ChatBody, raw)


def parse_as(kind: type[Asked], raw: bytes) -> Asked:
    """Raises ``InvalidBody``, which names the first wrong key."""
    body = read_as(kind, raw)
    refuse_in_body(body.model_extra or {})
    if body.stream_options:
        refuse_in_stream_options(body.stream_options.model_extra or {})
    return body

"""The body of POST /v1/chat/completions, as strict as a program's author needs it to be."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from adapters.http.errors import InvalidBody
from bot.types import AnswerFormat, ChatMessage, JsonObject, JsonSchema, Role

Schema = dict[str, JsonValue]


class _Closed(BaseModel):
    """Unknown keys are refused at once."""

    model_config = ConfigDict(strict=True, extra="forbid")


class NamedSchema(_Closed):
    """The answer always follows the schema, ``strict`` or not."""

    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
    description: str | None = None
    definition: Annotated[Schema, Field(alias="schema")]
    strict: bool | None = None


class TextFormat(_Closed):
    type: Literal["text"]

    def as_answer_format(self) -> AnswerFormat | None:
        return None


class ObjectFormat(_Closed):
    """``schema`` is llama.cpp's own form of what OpenAI calls ``json_schema``."""

    type: Literal["json_object"]
    definition: Annotated[Schema | None, Field(alias="schema")] = None

    def as_answer_format(self) -> AnswerFormat | None:
        return JsonObject() if self.definition is None else _json_schema(self.definition)


class SchemaFormat(_Closed):
    type: Literal["json_schema"]
    json_schema: NamedSchema

    def as_answer_format(self) -> AnswerFormat | None:
        return _json_schema(self.json_schema.definition)


def _json_schema(definition: Schema) -> JsonSchema:
    return JsonSchema(json.dumps(definition, ensure_ascii=False))


ResponseFormat = Annotated[TextFormat | ObjectFormat | SchemaFormat, Field(discriminator="type")]


# Keys that would change the answer and that Parley does not have. They are refused by name, since
# an answer that ignored them would be wrong. Beside each are the values that have no effect; null
# always has none.
NEUTRAL: Mapping[str, tuple[object, ...]] = {
    # OpenAI's
    "audio": (),
    "function_call": ("none", "auto"),
    "functions": ([],),
    "logit_bias": ({},),
    "logprobs": (False,),
    "modalities": (["text"],),
    "n": (1,),
    "prediction": (),
    "reasoning_effort": ("none",),
    "tool_choice": ("none", "auto"),
    "tools": ([],),
    "top_logprobs": (0,),
    "verbosity": ("medium",),
    "web_search_options": (),
    # of the older completions, vLLM and llama-server
    "best_of": (1,),
    "chat_template": (),
    "chat_template_kwargs": ({},),
    "continue_final_message": (False,),
    "dry_multiplier": (0,),
    "echo": (False,),
    "grammar": ("",),
    "guided_choice": (),
    "guided_grammar": (),
    "guided_json": (),
    "guided_regex": (),
    "ignore_eos": (False,),
    "json_schema": ({},),
    "length_penalty": (1,),
    "min_p": (0,),
    "min_tokens": (0,),
    "mirostat": (0,),
    "repeat_penalty": (1,),
    "repetition_penalty": (1,),
    "stop_token_ids": ([],),
    "structured_outputs": (),
    "suffix": ("",),
    "thinking": (),
    "top_k": (0, -1),
    "typical_p": (1,),
    "use_beam_search": (False,),
    "xtc_probability": (0,),
}
_NEUTRAL_IN_MESSAGE: Mapping[str, tuple[object, ...]] = {
    "audio": (),
    "function_call": (),
    "tool_call_id": (),
    "tool_calls": ([],),
}


def refuse_in_body(extra: Mapping[str, object]) -> None:
    _refuse(extra, NEUTRAL, "")


def refuse_in_message(extra: Mapping[str, object], number: int) -> None:
    _refuse(extra, _NEUTRAL_IN_MESSAGE, f"messages[{number}].")


def _refuse(
    extra: Mapping[str, object], neutral: Mapping[str, tuple[object, ...]], prefix: str
) -> None:
    for key, value in extra.items():
        if key in neutral and value is not None and not _is_any(value, neutral[key]):
            raise InvalidBody(
                f"{prefix}{key} is not supported with this value; please leave it out.",
                param=f"{prefix}{key}",
                code="unsupported_parameter",
            )


def _is_any(value: object, wanted: tuple[object, ...]) -> bool:
    """Equality of JSON values: 1 equals 1.0 but not true."""
    return any(
        value == other and isinstance(value, bool) == isinstance(other, bool) for other in wanted
    )


_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_MAX_MESSAGES = 4096
_MAX_NAME = 512
_NUM_SEEDS = 0xFFFFFFFF  # llama.cpp's last 32-bit seed means a random one


def _without_control(text: str) -> str:
    found = _CONTROL.search(text)
    if found is not None:
        raise PydanticCustomError(
            "control_character",
            "contains the control character U+{code} at position {position}",
            {"code": f"{ord(found[0]):04X}", "position": found.start()},
        )
    return text


def _text_of_part(part: object, number: int) -> str:
    match part:
        case {"type": "text", "text": str(text)}:
            return text
        case {"type": str(kind)} if kind != "text":
            problem = f"part {number} is of type {kind!r}; only text is understood"
        case _:
            problem = f'part {number} is not of the form {{"type": "text", "text": "…"}}'
    raise PydanticCustomError("content_part", "{problem}", {"problem": problem})


def _joined(content: object) -> object:
    if not isinstance(content, list):
        return content
    return "\n".join(_text_of_part(part, number) for number, part in enumerate(content))


def _as_list(stop: object) -> object:
    return [stop] if isinstance(stop, str) else stop


Text = Annotated[str, AfterValidator(_without_control)]
Name = Annotated[Text, Field(max_length=_MAX_NAME)]
StopText = Annotated[Text, Field(min_length=1, max_length=_MAX_NAME)]


class _Strict(BaseModel):
    """Keeps unknown keys, so that those which would change the answer can be refused."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)


class MessageBody(_Strict):
    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[Text, BeforeValidator(_joined)]

    def as_chat_message(self) -> ChatMessage:
        role: Role = "system" if self.role == "developer" else self.role
        return ChatMessage(role, self.content)


class StreamOptions(_Strict):
    include_usage: bool | None = None


class ChatBody(_Strict):
    messages: Annotated[list[MessageBody], Field(min_length=1, max_length=_MAX_MESSAGES)]
    model: Name | None = None
    user: Name | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    response_format: ResponseFormat | None = None
    stop: Annotated[list[StopText], Field(max_length=4), BeforeValidator(_as_list)] | None = None

    @property
    def include_usage(self) -> bool:
        return bool(self.stream_options and self.stream_options.include_usage)

    @property
    def answer_format(self) -> AnswerFormat | None:
        return self.response_format.as_answer_format() if self.response_format else None

    @property
    def engine_seed(self) -> int | None:
        return None if self.seed is None else self.seed % _NUM_SEEDS

    @property
    def token_limit(self) -> int | None:
        """``max_completion_tokens`` is the newer name, so it wins."""
        return self.max_completion_tokens or self.max_tokens


def parse(raw: bytes) -> ChatBody:
    """Raises ``InvalidBody``, which names the first wrong key."""
    try:
        body = ChatBody.model_validate_json(raw)
    except ValidationError as error:
        raise _first_problem(error) from None
    refuse_in_body(body.model_extra or {})
    for number, message in enumerate(body.messages):
        refuse_in_message(message.model_extra or {}, number)
    return body


def _first_problem(error: ValidationError) -> InvalidBody:
    problem = error.errors(include_url=False, include_input=False)[0]
    param = _path(problem["loc"])
    if problem["type"] == "json_invalid":
        return InvalidBody(f"The body is not valid JSON in UTF-8: {_reason(problem)}.")
    return InvalidBody(f"{param or 'The body'}: {problem['msg']}.", param=param or None)


def _reason(problem: ErrorDetails) -> str:
    return str(problem.get("ctx", {}).get("error", problem["msg"]))


def _path(location: tuple[int | str, ...]) -> str:
    """OpenAI's way to write it: ``messages[0].content``."""
    if location[:1] == ("response_format",):
        location = (location[0], *location[2:])  # pydantic's own step: which of the formats
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return "".join(steps).removeprefix(".")

"""The forms that an answer can be asked for, under each server's name for them."""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue
from pydantic_core import PydanticCustomError

from adapters.http.openai.reading import the_one
from bot.answer_formats import AnswerFormat, Grammar, JsonObject, JsonSchema, OneOf, Regex

Schema = dict[str, JsonValue]


def _object_or_text(definition: object) -> object:
    if definition is None or isinstance(definition, dict | str):
        return definition
    raise PydanticCustomError("schema", "should be an object, or the text of one")


SchemaOrText = Annotated[Schema | str, BeforeValidator(_object_or_text)]


class ClosedBody(BaseModel):
    """Unknown keys are refused at once."""

    model_config = ConfigDict(strict=True, extra="forbid")


class NamedSchema(ClosedBody):
    """The answer always follows the schema, ``strict`` or not."""

    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
    description: str | None = None
    definition: Annotated[Schema, Field(alias="schema")]
    strict: bool | None = None


class FlatSchemaFormat(NamedSchema):
    """The same in the Responses API, which has no object around it."""

    type: Literal["json_schema"]

    def as_answer_format(self) -> AnswerFormat | None:
        return as_schema(self.definition)


class TextFormat(ClosedBody):
    type: Literal["text"]

    def as_answer_format(self) -> AnswerFormat | None:
        return None


class ObjectFormat(ClosedBody):
    """``schema`` is llama.cpp's own form of what OpenAI calls ``json_schema``."""

    type: Literal["json_object"]
    definition: Annotated[Schema | None, Field(alias="schema")] = None

    def as_answer_format(self) -> AnswerFormat | None:
        return JsonObject() if self.definition is None else as_schema(self.definition)


class SchemaFormat(ClosedBody):
    type: Literal["json_schema"]
    json_schema: NamedSchema

    def as_answer_format(self) -> AnswerFormat | None:
        return as_schema(self.json_schema.definition)


ResponseFormat = Annotated[TextFormat | ObjectFormat | SchemaFormat, Field(discriminator="type")]
FlatFormat = Annotated[TextFormat | ObjectFormat | FlatSchemaFormat, Field(discriminator="type")]
Choice = Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]


class StructuredOutputs(ClosedBody):
    """vLLM's key."""

    definition: Annotated[SchemaOrText | None, Field(alias="json")] = None
    choice: Choice | None = None
    regex: str | None = None
    grammar: str | None = None
    json_object: bool | None = None

    def as_answer_format(self) -> AnswerFormat | None:
        """Raises ``InvalidBody`` for two of them that say different things."""
        asked: dict[str, AnswerFormat | None] = {
            "json": None if self.definition is None else as_schema(self.definition),
            "choice": None if self.choice is None else as_choice(self.choice),
            "regex": None if self.regex is None else Regex(self.regex),
            "grammar": None if self.grammar is None else Grammar(self.grammar),
            "json_object": JsonObject() if self.json_object else None,
        }
        return the_one({f"structured_outputs.{key}": form for key, form in asked.items()})


def as_schema(definition: Schema | str) -> JsonSchema:
    """A text is JSON already."""
    if isinstance(definition, str):
        return JsonSchema(definition)
    return JsonSchema(json.dumps(definition, ensure_ascii=False))


def as_choice(options: list[str]) -> OneOf:
    return OneOf(tuple(dict.fromkeys(options)))

"""OpenAI's ``response_format``: free text, any JSON object, or JSON that fits a schema."""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from bot.types import AnswerFormat, JsonObject, JsonSchema

Schema = dict[str, JsonValue]


class _Closed(BaseModel):
    """Unknown keys are refused at once."""

    model_config = ConfigDict(strict=True, extra="forbid")


class NamedSchema(_Closed):
    """``strict`` or not, the answer is always held to the schema."""

    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
    description: str | None = None
    definition: Annotated[Schema, Field(alias="schema")]
    strict: bool | None = None


class TextFormat(_Closed):
    type: Literal["text"]

    def as_answer_format(self) -> AnswerFormat | None:
        return None


class ObjectFormat(_Closed):
    """``schema`` is llama.cpp's own way to ask for what OpenAI calls ``json_schema``."""

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

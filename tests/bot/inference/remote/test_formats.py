"""Answer formats in the body of a request to a server."""

from __future__ import annotations

import pytest

from bot.errors import UnsupportedFormat
from bot.inference.remote.chunks import body_of
from bot.types import AnswerFormat, GenerationRequest, JsonObject, JsonSchema, OneOf


def body(answer_format: AnswerFormat | None) -> dict[str, object]:
    request = GenerationRequest(messages=(), person="ada", answer_format=answer_format)
    return body_of(request, "some-model", {})


def test_free_text_adds_no_key() -> None:
    assert "response_format" not in body(None)


def test_a_format_is_sent_as_openai_defines_it() -> None:
    assert body(JsonObject())["response_format"] == {"type": "json_object"}
    named = {"name": "answer", "schema": {"type": "null"}}
    assert body(JsonSchema('{"type": "null"}'))["response_format"] == {
        "type": "json_schema",
        "json_schema": named,
    }


@pytest.mark.parametrize(
    "answer_format", [OneOf(("yes", "no")), JsonSchema("{"), JsonSchema("[" * 60_000)]
)
def test_an_unsupported_format_is_refused(answer_format: AnswerFormat) -> None:
    with pytest.raises(UnsupportedFormat):
        body(answer_format)

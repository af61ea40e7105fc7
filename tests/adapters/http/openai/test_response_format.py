"""``response_format``: what Parley is asked for, and what is refused before it is asked."""

from __future__ import annotations

import json

import pytest

from bot.answer_formats import AnswerFormat, Grammar, JsonObject, JsonSchema, OneOf, Regex
from bot.errors import UnsupportedFormat
from tests.adapters.http.conftest import Serve
from tests.adapters.http.openai.test_bad_input import HI, ask, asked, post
from tests.fakes.conversations import FakeConversations

SCHEMA = {"type": "object", "properties": {"größe": {"type": "number"}}}
NAMED = {"name": "size", "schema": SCHEMA}


async def asked_for(serve: Serve, response_format: object) -> AnswerFormat | None:
    conversations = FakeConversations()
    body = json.dumps({"messages": [HI], "response_format": response_format}).encode()
    assert (await post(serve, body, conversations=conversations)).status == 200
    return conversations.requests[0].answer_format


@pytest.mark.parametrize("response_format", [None, {"type": "text"}])
async def test_free_text_is_the_default(serve: Serve, response_format: object) -> None:
    assert await asked_for(serve, response_format) is None


async def test_any_object_can_be_asked_for(serve: Serve) -> None:
    assert await asked_for(serve, {"type": "json_object"}) == JsonObject()


@pytest.mark.parametrize(
    "response_format",
    [
        {"type": "json_schema", "json_schema": NAMED},
        {"type": "json_schema", "json_schema": {**NAMED, "strict": True, "description": "Size."}},
        {"type": "json_object", "schema": SCHEMA},
    ],
)
async def test_a_schema_reaches_the_engine_as_it_is(serve: Serve, response_format: object) -> None:
    answer_format = await asked_for(serve, response_format)
    assert isinstance(answer_format, JsonSchema)
    assert json.loads(answer_format.schema) == SCHEMA


@pytest.mark.parametrize(
    ("response_format", "param"),
    [
        ("json", "response_format"),
        ({}, "response_format"),
        ({"type": "xml"}, "response_format"),
        ({"type": "text", "schema": {}}, "response_format.schema"),
        ({"type": "json_schema"}, "response_format.json_schema"),
        ({"type": "json_schema", "json_schema": {}}, "response_format.json_schema.name"),
        (
            {"type": "json_schema", "json_schema": {"name": "a b", "schema": {}}},
            "response_format.json_schema.name",
        ),
        (
            {"type": "json_schema", "json_schema": {"name": "a"}},
            "response_format.json_schema.schema",
        ),
        (
            {"type": "json_schema", "json_schema": {"name": "a", "schema": [], "strict": 1}},
            "response_format.json_schema.schema",
        ),
    ],
)
async def test_a_wrong_format_is_named(serve: Serve, response_format: object, param: str) -> None:
    answer = await ask(serve, response_format=response_format)
    assert (answer.status, answer.param) == (400, param)
    assert answer.message.startswith(param)


async def test_a_format_that_the_engine_cannot_follow_is_refused(serve: Serve) -> None:
    conversations = FakeConversations(refusal=UnsupportedFormat("That is too large."))
    body = json.dumps({"messages": [HI], "response_format": {"type": "json_object"}}).encode()
    answer = await post(serve, body, conversations=conversations)
    assert (answer.status, answer.param) == (400, "response_format")
    assert answer.code == "unsupported_response_format"
    assert answer.message == "That is too large."


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("grammar", "answer ::= [a]"),
        ("guided_grammar", "answer ::= [a]"),
        ("guided_regex", "(a"),
        ("guided_choice", ["a"]),
        ("guided_json", {"type": "odd"}),
        ("json_schema", {"type": "odd"}),
        ("structured_outputs", {"regex": "(a"}),
    ],
)
@pytest.mark.parametrize("name", ["response_format", "grammar", "guided_regex"])
async def test_what_cannot_be_followed_is_refused_by_the_name_that_was_sent(
    serve: Serve, key: str, value: object, name: str
) -> None:
    refusal = UnsupportedFormat("The grammar has no rule 'root'.", name=name)
    body = json.dumps({"messages": [HI], key: value}).encode()
    answer = await post(serve, body, conversations=FakeConversations(refusal=refusal))
    assert (answer.status, answer.param) == (400, key)
    assert answer.message == "The grammar has no rule 'root'."


@pytest.mark.parametrize(
    ("keys", "wanted"),
    [
        ({"guided_json": SCHEMA}, JsonSchema(json.dumps(SCHEMA, ensure_ascii=False))),
        ({"guided_json": '{"type":"null"}'}, JsonSchema('{"type":"null"}')),
        ({"json_schema": {"type": "null"}}, JsonSchema('{"type": "null"}')),
        ({"structured_outputs": {"json": {"type": "null"}}}, JsonSchema('{"type": "null"}')),
        ({"structured_outputs": {"json_object": True}}, JsonObject()),
        ({"structured_outputs": {"choice": ["yes", "no"]}}, OneOf(("yes", "no"))),
        ({"guided_choice": ["yes", "no", "yes"]}, OneOf(("yes", "no"))),
        ({"grammar": 'root ::= "a"'}, Grammar('root ::= "a"')),
        ({"guided_grammar": 'start: "a"'}, Grammar('start: "a"')),
        ({"guided_regex": "a+", "response_format": {"type": "text"}}, Regex("a+")),
        ({"structured_outputs": {"regex": "a+"}}, Regex("a+")),
        ({"structured_outputs": {"grammar": 'root ::= "a"'}}, Grammar('root ::= "a"')),
    ],
)
async def test_a_form_is_followed_under_the_names_of_other_servers(
    serve: Serve, keys: dict[str, object], wanted: AnswerFormat
) -> None:
    assert (await asked(serve, **keys)).answer_format == wanted


@pytest.mark.parametrize(
    ("keys", "param"),
    [
        ({"guided_json": 5}, "guided_json"),
        ({"guided_choice": ["yes", ""]}, "guided_choice[1]"),
        ({"guided_choice": "yes"}, "guided_choice"),
        ({"structured_outputs": {"structural_tag": "a"}}, "structured_outputs.structural_tag"),
        ({"structured_outputs": {"regex": "a", "choice": ["b"]}}, "structured_outputs.regex"),
        ({"structured_outputs": {"json": {}, "json_object": True}}, "structured_outputs.json"),
        ({"grammar": 5}, "grammar"),
        ({"grammar": "root ::= [a]", "response_format": {"type": "json_object"}}, "grammar"),
        ({"grammar": "root ::= [a]", "guided_regex": "a"}, "grammar"),
        (
            {"guided_choice": ["a"], "response_format": {"type": "json_object"}},
            "guided_choice",
        ),
    ],
)
async def test_a_form_that_is_not_followed_is_named(
    serve: Serve, keys: dict[str, object], param: str
) -> None:
    answer = await ask(serve, **keys)
    assert answer.status == 400
    assert (answer.param or "").startswith(param)

"""Bodies no client library would send, and what their authors are told."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass

import aiohttp
import pytest

from adapters.http.openai.body import ChatBody
from adapters.http.openai.other_keys import NEUTRAL
from bot.errors import PromptTooLong
from bot.generation import ChatMessage, CompletionRequest
from tests.adapters.http.conftest import Serve
from tests.fakes.conversations import FakeConversations

HI = {"role": "user", "content": "Hi"}
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Answer:
    status: int
    message: str
    param: str | None
    code: str | None


async def post(
    serve: Serve,
    data: bytes,
    headers: dict[str, str] | None = None,
    conversations: FakeConversations | None = None,
) -> Answer:
    server = await serve(conversations or FakeConversations())
    url = f"{server.url}/v1/chat/completions"
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            url, data=io.BytesIO(data), headers=JSON if headers is None else headers
        ) as response,
    ):
        is_stream = response.content_type == "text/event-stream"
        body = {} if is_stream else await response.json()
        error = body.get("error", {"message": "", "param": None, "code": None})
        if error["message"]:
            assert error["type"] == "invalid_request_error"
        return Answer(response.status, error["message"], error["param"], error["code"])


async def ask(serve: Serve, **keys: object) -> Answer:
    return await post(serve, json.dumps({"messages": [HI], **keys}).encode())


async def asked(serve: Serve, **keys: object) -> CompletionRequest:
    """What reaches the engine."""
    conversations = FakeConversations()
    body = json.dumps({"messages": [HI], **keys}).encode()
    answer = await post(serve, body, conversations=conversations)
    assert answer.status == 200, answer.message
    (request,) = conversations.requests
    return request


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b'{"messages": [{"role": "user", "content": "Hi"}]',
        b'{"messages": [{"role": "user", "content": "\xff\xfe"}]}',
        b'{"messages": [{"role": "user", "content": "\\ud800"}]}',
        b'{"messages": [{"role": "user", "content": "a\x00b"}]}',
        b'{"messages":' + b"[" * 100_000,
    ],
)
async def test_bytes_that_are_no_json_are_refused_with_a_reason(serve: Serve, raw: bytes) -> None:
    answer = await post(serve, raw)
    assert answer.status == 400
    assert answer.message.startswith("The body is not valid JSON in UTF-8: ")


@pytest.mark.parametrize(
    ("keys", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": "Hi"}, "messages"),
        ({"messages": None}, "messages"),
        ({"messages": ["Hi"]}, "messages[0]"),
        ({"messages": [HI, {"role": "user"}]}, "messages[1].content"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": "a\x00"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": "a\x1b[0m"}]}, "messages[0].content"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            "messages[0].content",
        ),
        ({"model": 5}, "model"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_p": -1}, "top_p"),
        ({"max_tokens": -5}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"max_completion_tokens": -1}, "max_completion_tokens"),
        ({"seed": 2**80}, "seed"),
        ({"frequency_penalty": 3}, "frequency_penalty"),
        ({"presence_penalty": -3}, "presence_penalty"),
        ({"logprobs": 5}, "logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"logprobs": False, "top_logprobs": 3}, "top_logprobs"),
        ({"top_k": -2}, "top_k"),
        ({"top_k": 2**31}, "top_k"),
        ({"top_k": 1.5}, "top_k"),
        ({"min_p": 1.1}, "min_p"),
        ({"typical_p": -0.1}, "typical_p"),
        ({"repeat_penalty": 0}, "repeat_penalty"),
        ({"repeat_penalty": 1e-40}, "repeat_penalty"),
        ({"repeat_last_n": -2}, "repeat_last_n"),
        ({"mirostat": 3}, "mirostat"),
        ({"mirostat": True}, "mirostat"),
        ({"mirostat_tau": -1}, "mirostat_tau"),
        ({"mirostat_eta": float("inf")}, "mirostat_eta"),
        ({"dry_multiplier": "much"}, "dry_multiplier"),
        ({"dry_base": 0.5}, "dry_base"),
        ({"dry_allowed_length": -1}, "dry_allowed_length"),
        ({"dry_penalty_last_n": 2**40}, "dry_penalty_last_n"),
        ({"dry_sequence_breakers": "\n"}, "dry_sequence_breakers"),
        ({"dry_sequence_breakers": [""]}, "dry_sequence_breakers[0]"),
        ({"dry_sequence_breakers": ["x"] * 9}, "dry_sequence_breakers"),
        ({"xtc_probability": 2}, "xtc_probability"),
        ({"xtc_threshold": -0.1}, "xtc_threshold"),
        ({"logit_bias": 5}, "logit_bias"),
        ({"logit_bias": {"5": 101}}, "logit_bias"),
        ({"logit_bias": {"5": "3"}}, "logit_bias"),
        ({"logit_bias": {"5": True}}, "logit_bias"),
        ({"logit_bias": {"5": float("nan")}}, "logit_bias"),
        ({"logit_bias": {"": 1}}, "logit_bias"),
        ({"logit_bias": {"99999999999": 1}}, "logit_bias"),
        ({"logit_bias": [[5]]}, "logit_bias"),
        ({"logit_bias": [[-1, 5]]}, "logit_bias"),
        ({"logit_bias": [[None, 5]]}, "logit_bias"),
        ({"logit_bias": {str(n): 1 for n in range(1025)}}, "logit_bias"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
        ({"user": "x" * 600}, "user"),
    ],
)
async def test_a_wrong_value_is_named(serve: Serve, keys: dict[str, object], param: str) -> None:
    answer = await ask(serve, **keys)
    assert (answer.status, answer.param) == (400, param)
    assert param in answer.message


@pytest.mark.parametrize("key", ["model", "user", "cache_salt"])
async def test_a_name_that_is_too_long_is_counted_in_characters(serve: Serve, key: str) -> None:
    assert "at most 512 characters" in (await ask(serve, **{key: "x" * 600})).message


@pytest.mark.parametrize("key", sorted(NEUTRAL.keys() - ChatBody.model_fields.keys()))
async def test_a_key_that_parley_does_not_have_is_refused_by_name(serve: Serve, key: str) -> None:
    answer = await ask(serve, **{key: {"something": "else"}})
    assert (answer.status, answer.param) == (400, key)
    assert answer.message.startswith(f"{key} is not supported")


@pytest.mark.parametrize(
    "keys",
    [
        {"n": 1, "logprobs": False, "tools": [], "logit_bias": {}},
        {"response_format": {"type": "text"}, "tool_choice": "none", "top_logprobs": 0},
        {"n": None, "tools": None, "stop": None, "max_tokens": None, "temperature": None},
        {"metadata": {"a": "b"}, "store": True, "service_tier": "auto", "something_new": None},
        {"prompt_cache_key": "a", "safety_identifier": "b", "parallel_tool_calls": False},
        {"bad_words": [], "regex": "", "ebnf": None, "include_stop_str_in_output": False},
        {"mirostat_mode": 0, "reasoning": {"effort": "none"}, "skip_special_tokens": True},
        {"stream": True, "stream_options": {"include_usage": True, "include_obfuscation": False}},
    ],
)
async def test_a_key_that_changes_nothing_is_accepted(
    serve: Serve, keys: dict[str, object]
) -> None:
    assert (await asked(serve, **keys)).messages == (ChatMessage("user", "Hi"),)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *[("something_new", [1, 2]), ("max_token", 5), ("system", "Be brief."), ("format", "json")],
        *[("regex", "[0-9]+"), ("ebnf", 'root ::= "a"'), ("bad_words", ["no"])],
        *[("include_stop_str_in_output", True), ("samplers", ["top_k"]), ("reasoning", {})],
        *[("do_sample", False), ("skip_special_tokens", False)],
        *[("provider", {"order": ["a"]}), ("options", {"num_ctx": 4096}), ("lora", [{"id": 0}])],
    ],
)
async def test_no_key_is_dropped_in_silence(serve: Serve, key: str, value: object) -> None:
    answer = await ask(serve, **{key: value or {"effort": "high"}})
    assert (answer.status, answer.param, answer.code) == (400, key, "unsupported_parameter")
    assert answer.message.startswith(f"{key} is not supported")


@pytest.mark.parametrize(
    "keys",
    [
        {"k" * 10_000: 1},
        {"messages": [{"role": "user", "content": [{"type": "k" * 10_000}]}]},
        {"messages": [{"role": "k" * 10_000, "content": "Hi"}]},
        {"response_format": {"type": "k" * 10_000}},
        {"response_format": {"type": "text", "k" * 10_000: 1}},
    ],
)
async def test_what_is_wrong_and_without_end_is_not_shown_whole(
    serve: Serve, keys: dict[str, object]
) -> None:
    answer = await ask(serve, **keys)
    assert answer.status == 400
    assert len(answer.message) < 300


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({**HI, "images": ["aGk="]}, "messages[0].images"),
        ({"role": "assistant", "content": "So", "prefix": True}, "messages[0].prefix"),
        ({"role": "assistant", "content": "So", "partial": True}, "messages[0].partial"),
    ],
)
async def test_a_key_of_a_message_that_would_change_the_answer_is_refused(
    serve: Serve, message: dict[str, object], param: str
) -> None:
    answer = await ask(serve, messages=[message])
    assert (answer.status, answer.param) == (400, param)


async def test_what_a_program_notes_beside_a_message_is_no_request(serve: Serve) -> None:
    noted = {**HI, "metadata": {"title": None}, "options": [], "timestamp": 1_700_000_000}
    assert (await asked(serve, messages=[noted])).messages == (ChatMessage("user", "Hi"),)


async def test_an_option_of_the_stream_that_parley_does_not_have_is_refused(serve: Serve) -> None:
    answer = await ask(serve, stream=True, stream_options={"continuous_usage_stats": True})
    assert (answer.status, answer.param) == (400, "stream_options.continuous_usage_stats")


@pytest.mark.parametrize("name", ["n_predict", "max_new_tokens", "num_predict"])
async def test_a_limit_under_another_server_s_name_is_kept(serve: Serve, name: str) -> None:
    assert (await asked(serve, **{name: 3})).max_tokens == 3
    assert (await asked(serve, **{name: 3, "max_tokens": 3})).max_tokens == 3
    answer = await ask(serve, **{name: 3, "max_tokens": 4})
    assert answer.message == (
        f"max_tokens and {name} contradict each other; please send one of them."
    )


@pytest.mark.parametrize("name", ["n_predict", "num_predict"])
async def test_a_limit_of_minus_one_is_none_where_servers_say_so(serve: Serve, name: str) -> None:
    assert (await asked(serve, **{name: -1})).max_tokens is None


@pytest.mark.parametrize("name", ["n_predict", "max_new_tokens", "num_predict"])
@pytest.mark.parametrize("value", [0, -7, "3", 1.5, True])
async def test_a_wrong_limit_is_named_as_it_was_sent(
    serve: Serve, name: str, value: object
) -> None:
    answer = await ask(serve, **{name: value})
    assert (answer.status, answer.param) == (400, name)


@pytest.mark.parametrize("value", [True, False, None])
async def test_a_program_may_do_without_the_loop_guard(serve: Serve, value: bool | None) -> None:
    assert (await asked(serve, loop_guard=value)).loop_guard is value
    assert (await ask(serve, loop_guard="off")).param == "loop_guard"


async def test_stop_sequences_and_a_random_seed_are_those_of_openai(serve: Serve) -> None:
    request = await asked(serve, stop_sequences=["END"], random_seed=7)
    assert (request.stop, request.sampling) == (("END",), {"seed": 7})


# Empty


@pytest.mark.parametrize(
    "keys",
    [
        *[{"user": ""}, {"model": ""}, {"stop": ""}, {"stop": []}, {"stop": [""]}],
        *[{"stop": ["", ""]}, {"stop_sequences": [""]}, {"tools": [], "functions": []}],
        *[{"grammar": "", "guided_json": "", "guided_choice": []}, {"json_schema": {}}],
        *[{"logit_bias": {}, "chat_template": "", "something_new": ""}, {"stream_options": {}}],
    ],
)
async def test_what_is_empty_is_not_set(serve: Serve, keys: dict[str, object]) -> None:
    request, plain = await asked(serve, **keys), await asked(serve)
    assert request == plain
    assert request.user is None


async def test_an_empty_stop_text_beside_another_is_left_out(serve: Serve) -> None:
    assert (await asked(serve, stop=["", "END"])).stop == ("END",)


async def test_a_body_may_begin_with_a_byte_order_mark(serve: Serve) -> None:
    raw = json.dumps({"messages": [HI]}).encode()
    assert (await post(serve, b"\xef\xbb\xbf" + raw)).status == 200


@pytest.mark.parametrize("value", [0, 17, True, "1", 1.5])
async def test_from_one_to_sixteen_answers_can_be_asked_for(serve: Serve, value: object) -> None:
    assert (await ask(serve, n=value)).param == "n"


@pytest.mark.parametrize(
    "headers",
    [{"Content-Type": "text/plain"}, {"Content-Type": "application/x-www-form-urlencoded"}],
)
async def test_a_body_that_a_web_form_could_send_is_refused(
    serve: Serve, headers: dict[str, str]
) -> None:
    answer = await post(serve, json.dumps({"messages": [HI]}).encode(), headers)
    assert answer.status == 415
    assert "application/json" in answer.message


async def test_a_body_with_a_charset_is_json_too(serve: Serve) -> None:
    headers = {"Content-Type": "application/json; charset=utf-8"}
    assert (await post(serve, json.dumps({"messages": [HI]}).encode(), headers)).status == 200


@pytest.mark.parametrize("name", ["x" * 300, "a\tb"])
async def test_a_thread_name_is_short_and_printable(serve: Serve, name: str) -> None:
    headers = {**JSON, "X-Parley-Thread": name}
    answer = await post(serve, json.dumps({"messages": [HI]}).encode(), headers)
    assert (answer.status, answer.param) == (400, "X-Parley-Thread")


async def test_a_megabyte_of_text_is_told_how_much_fits(serve: Serve) -> None:
    raw = json.dumps({"messages": [{"role": "user", "content": "word " * 200_000}]}).encode()
    conversations = FakeConversations(refusal=PromptTooLong(200_001, 8192))
    answer = await post(serve, raw, conversations=conversations)
    assert (answer.status, answer.code) == (400, "context_length_exceeded")
    assert "8,192 fit" in answer.message


async def test_a_body_beyond_all_measure_is_not_read(serve: Serve) -> None:
    answer = await post(serve, b'"' + b"x" * (5 * 1024 * 1024) + b'"')
    assert answer.status == 413
    assert "4,194,304 bytes" in answer.message


KINDS = "'type' should be one of 'text', 'json_object', 'json_schema'"
OBJECT_OR_TEXT = "should be an object, or the text of one"


@pytest.mark.parametrize(
    ("key", "value", "param", "problem"),
    [
        ("response_format", {"type": "xml"}, "response_format", KINDS),
        ("response_format", {"type": 5}, "response_format", KINDS),
        ("response_format", {}, "response_format", "its key 'type' is missing"),
        ("guided_json", 3, "guided_json", OBJECT_OR_TEXT),
        ("structured_outputs", {"json": [1]}, "structured_outputs.json", OBJECT_OR_TEXT),
    ],
)
async def test_a_problem_is_told_in_the_words_of_json(
    serve: Serve, key: str, value: object, param: str, problem: str
) -> None:
    answer = await ask(serve, **{key: value})
    assert (answer.status, answer.param) == (400, param)
    assert answer.message == f"{param}: {problem}."

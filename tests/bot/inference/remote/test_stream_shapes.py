"""Streams as other servers send them: what carries nothing is skipped, no failure is a success."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bot.generation import Delta, Finished, FinishReason, Reasoning
from tests.bot.inference.remote.asking import engine_over, question
from tests.fakes.model_server import FakeModelServer, chunk, event, sends

HELLO = event(chunk("Hello"))
STOP = event(chunk(reason="stop"))
DONE = b"data: [DONE]\n\n"
BOM = b"\xef\xbb\xbf"
USED = {"prompt_tokens": 12, "completion_tokens": 5}


def delta(**fields: object) -> bytes:
    return event({"choices": [{"index": 0, "delta": fields}]})


def usage(counts: object, **fields: object) -> bytes:
    return event({"choices": [], "usage": counts, **fields})


async def answered(server: FakeModelServer, raw: bytes) -> tuple[str, str, Finished]:
    """The answer, its reasoning, and how it ended."""
    server.script.append(sends(raw))
    async with engine_over(server) as engine:
        *events, finished = [each async for each in await engine.generate(question())]
    assert isinstance(finished, Finished)
    text = "".join(each.text for each in events if isinstance(each, Delta))
    return text, "".join(e.text for e in events if isinstance(e, Reasoning)), finished


NOTHING = {
    "no choices": event({"choices": None}),
    "no choices and usage": event({"choices": None, "usage": USED}),
    "no data": b"data:\n\n",
    "blank data": b"data:  \n\n",
    "null": b"data: null\n\n",
    "an empty object": event({}),
    "an empty choice": event({"choices": [{}]}),
    "a null choice": event({"choices": [None]}),
    "a null delta": event({"choices": [{"delta": None, "finish_reason": None}]}),
    "an empty reason": event({"choices": [{"delta": {}, "finish_reason": ""}]}),
    "null texts": delta(content=None, reasoning=None, reasoning_content=None, tool_calls=None),
    "no parts": delta(content=[]),
    "no error": event({"choices": [], "error": None}),
    "empty error": event({"choices": [], "error": {}}),
    "a comment": b": ping\n\n",
    "an event's name": b"event: ping\n\n",
    "usage of nothing": event({"choices": [], "usage": None}),
    "filters": event({"choices": [], "prompt_filter_results": [{"index": 0}]}),
}


@pytest.mark.parametrize("name", NOTHING)
async def test_what_carries_nothing_is_skipped_wherever_it_comes(
    server: FakeModelServer, name: str
) -> None:
    nothing = NOTHING[name]
    raw = nothing + HELLO + nothing + event(chunk(" there")) + STOP + nothing + DONE
    text, thought, finished = await answered(server, raw)
    assert (text, thought, finished.reason) == ("Hello there", "", FinishReason.STOP)


@pytest.mark.parametrize("late", [b"data: nonsense\n\n", b"data: [1]\n\n", b"data: {\n\n", b""])
async def test_an_answer_that_was_whole_stays_so_whatever_comes_after_it(
    server: FakeModelServer, late: bytes
) -> None:
    text, _, finished = await answered(server, HELLO + STOP + late)
    assert (text, finished.reason) == ("Hello", FinishReason.STOP)


@pytest.mark.parametrize(
    "raw",
    [
        BOM + HELLO + STOP + DONE,
        BOM + b": ping\n\n" + HELLO + STOP + DONE,
        (HELLO + STOP + DONE).replace(b"\n", b"\r\n"),
        HELLO + STOP + b"data: [DONE] \n\n",
        HELLO + STOP + b"data:[DONE]\n\n",
        b"data: " + BOM + HELLO.removeprefix(b"data: ") + STOP + DONE,
    ],
)
async def test_the_frame_of_an_event_may_differ(server: FakeModelServer, raw: bytes) -> None:
    text, _, finished = await answered(server, raw)
    assert (text, finished.reason) == ("Hello", FinishReason.STOP)


@pytest.mark.parametrize(
    "thought",
    [
        delta(reasoning="So it is "),
        delta(reasoning_content="So it is "),
        delta(reasoning="So it is ", reasoning_content="So it is "),
        delta(reasoning="So it is ", content=""),
        delta(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "So it is "}]}]),
        delta(content=[{"type": "thinking", "thinking": "So it is "}]),
    ],
)
async def test_reasoning_is_taken_under_every_name(server: FakeModelServer, thought: bytes) -> None:
    text, told, _ = await answered(server, thought + HELLO + STOP + DONE)
    assert (text, told) == ("Hello", "So it is ")


@pytest.mark.parametrize(
    "said",
    [
        delta(content=[{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]),
        delta(refusal="Hello"),
    ],
)
async def test_text_is_taken_in_every_form(server: FakeModelServer, said: bytes) -> None:
    assert (await answered(server, said + STOP + DONE))[0] == "Hello"


# Surrogates: JSON as Python's ``json.dumps`` writes it, cut between the halves of a pair.

PARROT = "\ud83e", "\udd9c"


def escaped(text: str, key: str = "content") -> bytes:
    return delta(**{key: text})


@pytest.mark.parametrize(
    ("pieces", "shown"),
    [
        (["a" + PARROT[0], PARROT[1] + "b"], "a🦜b"),
        ([PARROT[0], "", PARROT[1]], "🦜"),
        ([PARROT[0], PARROT[1] + PARROT[0], PARROT[1]], "🦜🦜"),
        (["a" + PARROT[0], "b"], "a\ufffdb"),
        (["a" + PARROT[0]], "a\ufffd"),
        (["a", PARROT[1] + "b"], "a\ufffdb"),
    ],
)
@pytest.mark.parametrize("key", ["content", "reasoning"])
async def test_a_character_that_is_cut_between_two_chunks_is_whole(
    server: FakeModelServer, pieces: list[str], shown: str, key: str
) -> None:
    raw = b"".join(escaped(piece, key) for piece in pieces)
    text, thought, finished = await answered(server, raw + STOP + DONE)
    assert {"content": text, "reasoning": thought}[key] == shown
    assert finished.reason is FinishReason.STOP


# Why it ended


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        *[(name, FinishReason.STOP) for name in ("stop", "STOP", "eos_token", "end_turn")],
        *[(name, FinishReason.STOP) for name in ("stop_sequence", "tool_calls")],
        *[(name, FinishReason.LENGTH) for name in ("length", "max_tokens", "model_length")],
    ],
)
async def test_a_good_end_is_one_under_every_name(
    server: FakeModelServer, name: str, reason: FinishReason
) -> None:
    text, _, finished = await answered(server, HELLO + event(chunk(reason=name)) + DONE)
    assert (text, finished.reason, finished.detail) == ("Hello", reason, "")


FAILURES = {
    **dict.fromkeys(("error", "abort", "cancelled", "timeout", "unheard-of"), "failed at this"),
    **dict.fromkeys(("content_filter", "SAFETY", "sensitive"), "withholds the rest of this answer"),
}


@pytest.mark.parametrize("name", FAILURES)
@pytest.mark.parametrize("together", [False, True])
async def test_a_failure_is_never_a_success(
    server: FakeModelServer, name: str, together: bool
) -> None:
    end = chunk("Hello" if together else None, name)
    text, _, finished = await answered(server, (b"" if together else HELLO) + event(end) + DONE)
    assert (text, finished.reason) == ("Hello", FinishReason.ERROR)
    assert FAILURES[name] in finished.detail
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "error",
    [
        {"error": {"message": "CUDA out of memory"}},
        {"error": "CUDA out of memory", "choices": []},
        {"object": "error", "message": "CUDA out of memory", "code": 500},
        {"detail": "CUDA out of memory"},
    ],
)
@pytest.mark.parametrize("before", [HELLO, HELLO + STOP])
async def test_an_error_amid_the_stream_is_one_in_every_form(
    server: FakeModelServer, error: dict[str, Any], before: bytes
) -> None:
    text, _, finished = await answered(server, before + event(error) + DONE)
    assert (text, finished.reason) == ("Hello", FinishReason.ERROR)
    assert "failed at this answer" in finished.detail


@pytest.mark.parametrize("reason", ["stop", "length", "abort"])
async def test_a_server_that_does_not_stream_is_read_too(
    server: FakeModelServer, reason: str
) -> None:
    message = {"role": "assistant", "content": "Hello", "reasoning": "Hm."}
    whole = {"choices": [{"message": message, "finish_reason": reason}], "usage": USED}
    server.script.append(sends(json.dumps(whole).encode(), "application/json"))
    async with engine_over(server) as engine:
        *events, finished = [each async for each in await engine.generate(question())]
    assert events == [Reasoning("Hm."), Delta("Hello")]
    assert isinstance(finished, Finished)
    assert finished.reason.value == {"abort": "error"}.get(reason, reason)
    assert finished.usage.completion_tokens == 5


# Usage


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        (USED, (12, 5)),
        ({**USED, "prompt_tokens_details": None}, (12, 5)),
        ({**USED, "completion_tokens": None}, (12, 1)),
        ({**USED, "completion_tokens": "many"}, (12, 1)),
        ({**USED, "completion_tokens": -1}, (12, 1)),
        ({"prompt_tokens": None, "completion_tokens": 5}, (None, 5)),
        ({"prompt_tokens": None, "completion_tokens": None}, (None, 1)),
        ({"completion_tokens": 5}, (None, 5)),
        (None, (None, 1)),
        ([], (None, 1)),
        ("lots", (None, 1)),
    ],
)
async def test_what_a_server_does_not_count_parley_does(
    server: FakeModelServer, counts: object, told: tuple[int | None, int]
) -> None:
    _, _, finished = await answered(server, HELLO + STOP + usage(counts) + DONE)
    assert finished.reason is FinishReason.STOP
    async with engine_over(server) as engine:
        own = await engine.count(question().messages)
    expected = (own if told[0] is None else told[0], told[1])
    assert (finished.usage.prompt_tokens, finished.usage.completion_tokens) == expected


async def test_counts_in_the_choice_and_their_details_are_taken(server: FakeModelServer) -> None:
    counts = {
        **USED,
        "prompt_tokens_details": {"cached_tokens": 8},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    end = {"choices": [{"delta": {}, "finish_reason": "stop", "usage": counts}]}
    _, _, finished = await answered(server, HELLO + event(end) + DONE)
    assert (finished.usage.cached_tokens, finished.usage.reasoning_tokens) == (8, 3)


async def test_counts_of_nothing_do_not_replace_those_before_them(server: FakeModelServer) -> None:
    late = usage({"prompt_tokens": None, "completion_tokens": None})
    _, _, finished = await answered(server, HELLO + STOP + usage(USED) + late + DONE)
    assert finished.usage.completion_tokens == 5


def test_the_samples_are_cut_as_servers_cut_them() -> None:
    assert b"\\ud83e" in escaped(PARROT[0])
    assert json.loads(escaped(PARROT[0]).removeprefix(b"data: "))

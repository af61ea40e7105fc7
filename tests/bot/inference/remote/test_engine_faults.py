"""For every fault of a server a person reads one sentence, which never has the key."""

from __future__ import annotations

import logging
import time

import pytest

from bot.errors import PromptTooLong
from bot.generation import FinishReason
from bot.inference.remote.server import MAX_EVENT_BYTES
from bot.metrics import Metrics
from tests.bot.inference.remote.asking import HASTY, answer, count, engine_over, question
from tests.bot.inference.streams import read
from tests.fakes.model_server import (
    Behaviour,
    FakeModelServer,
    chunk,
    drops,
    event,
    falls_silent,
    says,
    sends,
    status,
)

KEY = "sk-s3cret-key"
HALF = event(chunk("Half"))
ERROR = {"error": {"message": "CUDA out of memory", "code": 500}}

BEFORE: dict[str, tuple[Behaviour, str, str]] = {
    "wrong key": (status(401), "refused", "PARLEY_ENGINE_KEY"),
    "forbidden": (status(403), "refused", "PARLEY_ENGINE_KEY"),
    "no such address": (status(404), "refused", "PARLEY_ENGINE_URL"),
    "a redirect": (
        status(302, headers={"Location": "http://127.0.0.1:9/"}),
        "refused",
        "PARLEY_ENGINE_URL",
    ),
    "refused": (status(400), "refused", "refuses this question (status 400)"),
    "busy": (status(429), "busy", "is busy"),
    "failed": (status(500), "failed", "failed at this answer"),
    "dropped at once": (drops(), "broken", "broke off"),
    "silent": (falls_silent(), "silent", "fell silent"),
    "silent but for pings": (falls_silent(pings=True), "silent", "fell silent"),
    "no stream": (sends(b"{}", "application/json"), "malformed", "is no answer"),
    "no JSON": (sends(b"data: <html>\n\n"), "malformed", "is no answer"),
    "wrong JSON": (sends(b'data: {"choices": 5}\n\n'), "malformed", "is no answer"),
    "no object": (sends(b"data: [1]\n\n"), "malformed", "is no answer"),
    "a line without end": (
        sends(b"data: " + b"x" * (MAX_EVENT_BYTES + 9)),
        "malformed",
        "is no answer",
    ),
    "an error in the stream": (sends(event(ERROR)), "failed", "failed at this answer"),
}
AMID: dict[str, tuple[Behaviour, str, str]] = {
    "dropped": (drops("Half"), "broken", "broke off"),
    "ended too early": (sends(HALF), "broken", "broke off"),
    "silent": (falls_silent("Half"), "silent", "fell silent"),
    "silent but for pings": (falls_silent("Half", pings=True), "silent", "fell silent"),
    "no JSON": (sends(HALF + b"data: nonsense\n\n"), "malformed", "is no answer"),
    "an error": (sends(HALF + event(ERROR)), "failed", "failed at this answer"),
}


@pytest.mark.parametrize("name", BEFORE)
async def test_a_fault_before_the_first_token_is_one_sentence(
    server: FakeModelServer, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    behaviour, kind, sentence = BEFORE[name]
    metrics, server.otherwise = Metrics(), behaviour
    with caplog.at_level(logging.DEBUG):
        async with engine_over(server, metrics=metrics, key=KEY) as engine:
            text, finished = await answer(engine, question("my private question"))
    assert (text, finished.reason) == ("", FinishReason.ERROR)
    assert sentence in finished.detail
    assert "Traceback" not in caplog.text
    assert KEY not in caplog.text + finished.detail
    assert count(metrics, "engine_calls_total", status=kind) >= 1


@pytest.mark.parametrize("name", AMID)
async def test_a_fault_amid_a_reply_keeps_the_text_and_is_not_tried_again(
    server: FakeModelServer, name: str
) -> None:
    behaviour, kind, sentence = AMID[name]
    metrics = Metrics()
    server.script.append(behaviour)
    async with engine_over(server, metrics=metrics) as engine:
        text, finished = await answer(engine, question())
    assert (text, finished.reason) == ("Half", FinishReason.ERROR)
    assert sentence in finished.detail
    assert len(server.asked) == 1
    assert count(metrics, "engine_calls_total", status=kind) == 1
    assert count(metrics, "engine_retries_total") == 0


@pytest.mark.parametrize("name", ["busy", "failed", "silent", "no JSON", "wrong key"])
async def test_another_server_answers_when_one_fails_before_the_first_token(
    server: FakeModelServer, other: FakeModelServer, name: str
) -> None:
    metrics = Metrics()
    server.otherwise = BEFORE[name][0]
    other.otherwise = says("From the other.")
    async with engine_over(server, other, metrics=metrics) as engine:
        text, finished = await answer(engine, question())
    assert (text, finished.reason) == ("From the other.", FinishReason.STOP)
    assert count(metrics, "engine_retries_total") == 1


async def test_a_single_server_is_tried_again_after_a_rest(server: FakeModelServer) -> None:
    metrics = Metrics()
    server.script += [status(500), status(503)]
    async with engine_over(server, metrics=metrics) as engine:
        assert (await answer(engine, question()))[0] == "ok"
    assert count(metrics, "engine_retries_total") == 2


async def test_a_busy_server_gets_no_request_for_as_long_as_it_asks(
    server: FakeModelServer,
) -> None:
    server.script.append(status(429, headers={"Retry-After": "3600"}))
    async with engine_over(server) as engine:
        began = time.monotonic()
        assert (await answer(engine, question()))[0] == "ok"
    assert time.monotonic() - began >= HASTY.max_retry_after, "though not for an hour"


async def test_a_server_that_fails_fast_does_not_draw_all_questions(
    server: FakeModelServer, other: FakeModelServer
) -> None:
    server.otherwise = status(500)
    patience = HASTY.__class__(rest=60, max_rest=60)
    async with engine_over(server, other, patience=patience) as engine:
        for _ in range(5):
            assert (await answer(engine, question()))[0] == "ok"
    assert len(server.asked) == 1


async def test_a_refused_question_is_not_sent_again(
    server: FakeModelServer, other: FakeModelServer
) -> None:
    server.otherwise = other.otherwise = status(400)
    async with engine_over(server, other) as engine:
        await answer(engine, question())
    assert len(server.asked) + len(other.asked) == 1


async def test_a_reply_whose_connection_remains_open_is_complete(
    server: FakeModelServer,
) -> None:
    server.script.append(falls_silent("Half", reason="stop"))
    async with engine_over(server) as engine:
        text, finished = await answer(engine, question())
    assert (text, finished.reason) == ("Half", FinishReason.STOP)


async def test_after_a_stream_breaks_without_a_reason_the_server_is_asked_for_it_once(
    server: FakeModelServer,
) -> None:
    """As ``llama_cpp.server`` does if the prompt is too long."""
    said = {"error": {"message": "This model's maximum context length is 60 tokens."}}
    server.script += [sends(b": nothing\n\n"), status(400, said)]
    async with engine_over(server) as engine:
        stream = await engine.generate(question("word " * 10))
        with pytest.raises(PromptTooLong, match="59 fit"):
            await read(stream)
    assert [body["stream"] for body in server.asked] == [True, False]

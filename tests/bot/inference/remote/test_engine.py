"""RemoteEngine over model servers: what people read, and fairness to them."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from bot.answer_formats import JsonObject
from bot.errors import (
    EngineFailed,
    ModelError,
    NotOffered,
    PromptTooLong,
    QueueFull,
    RequestError,
    UnsupportedOption,
    UnsupportedSampling,
)
from bot.generation import (
    ChatMessage,
    Delta,
    FinishReason,
    GenerationRequest,
    Queued,
    RawPrompt,
    Sampling,
    TokenLogprob,
)
from bot.metrics import Metrics
from bot.ports import Embeds, Tokenizes
from tests.bot.inference.remote.asking import answer, count, engine_over, question, until
from tests.bot.inference.streams import read
from tests.fakes.model_server import (
    MODEL,
    Behaviour,
    FakeModelServer,
    chunk,
    event,
    probable,
    says,
    sends,
    status,
    waits_for,
)


async def test_a_reply_grows_and_its_tokens_are_those_that_the_server_counts(
    server: FakeModelServer,
) -> None:
    metrics = Metrics()
    server.script.append(says("Hel", "lo", usage=(12, 5)))
    async with engine_over(server, metrics=metrics) as engine:
        text, finished = await answer(engine, question())
    assert (text, finished.reason) == ("Hello", FinishReason.STOP)
    assert (finished.usage.prompt_tokens, finished.usage.completion_tokens) == (12, 5)
    assert count(metrics, "engine_calls_total", status="ok") == 1
    assert count(metrics, "completion_tokens_total") == 5
    assert count(metrics, "prompt_tokens_total", source="evaluated") == 12
    assert count(metrics, "first_token_seconds_count") == 1


async def test_an_answer_in_a_format_is_passed_on_as_it_was_written(
    server: FakeModelServer,
) -> None:
    written = '{"a": "b\u2028c\x7f"}'
    server.script.append(says(written))
    async with engine_over(server) as engine:
        text, _ = await answer(engine, replace(question(), answer_format=JsonObject()))
    assert text == written


async def test_the_tokens_of_a_server_that_counts_nothing_are_counted_here(
    server: FakeModelServer,
) -> None:
    server.script.append(says("Hel", "lo"))
    async with engine_over(server) as engine:
        _, finished = await answer(engine, question())
        assert finished.usage.prompt_tokens == await engine.count(question().messages)
    assert finished.usage.completion_tokens == 2


async def test_the_question_is_sent_unchanged_with_the_personalitys_sampling(
    server: FakeModelServer,
) -> None:
    request = GenerationRequest(
        messages=(ChatMessage("system", "Be kind."), ChatMessage("user", "hi")),
        person="ada",
        sampling=Sampling(temperature=0.2, top_p=0.9, presence_penalty=0.5, seed=7, top_k=3),
        max_tokens=9,
        stop=("END",),
    )
    async with engine_over(server) as engine:
        await answer(engine, request)
    (asked,) = server.asked
    assert asked == {
        "model": MODEL,
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "hi"},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 9,
        "temperature": 0.2,
        "top_p": 0.9,
        "seed": 7,
        "presence_penalty": 0.5,
        "stop": ["END"],
    }


async def test_a_server_with_a_tokenizer_counts_and_takes_its_own_samplers() -> None:
    async with FakeModelServer(counts=True) as server, engine_over(server) as engine:
        assert await engine.count((ChatMessage("user", "one two three"),)) == 3 + 8 + 32
        sampling = Sampling(top_k=3, repeat_penalty=1.3)
        messages = (ChatMessage("user", "hi"),)
        await answer(engine, GenerationRequest(messages=messages, person="a", sampling=sampling))
    (asked,) = server.asked
    assert (asked["top_k"], asked["repetition_penalty"]) == (3, 1.3)
    assert server.num_counted > 0


async def test_a_sampler_that_a_program_asks_for_is_refused_by_name_where_it_cannot_be_sent(
    server: FakeModelServer,
) -> None:
    asked = replace(question(), sampling=Sampling(top_k=3, mirostat=2))
    async with engine_over(server) as engine:
        with pytest.raises(UnsupportedSampling, match="mirostat is not supported"):
            await engine.generate(replace(asked, asked_sampling=frozenset({"top_p", "mirostat"})))
        await answer(engine, asked)  # a personality's own samplers are only left out
    (sent,) = server.asked
    assert "top_k" not in sent


RAW = GenerationRequest(raw=RawPrompt("Once"), person="ada", num_logprobs=1)


async def test_a_raw_prompt_goes_to_the_older_api_of_the_server(server: FakeModelServer) -> None:
    likeliest = {"tokens": [" upon"], "token_logprobs": [-0.5], "top_logprobs": [{" a": -1.0}]}
    first = {"choices": [{"index": 0, "text": " upon", "logprobs": likeliest}]}
    last = {"choices": [{"index": 0, "text": " a\r", "finish_reason": "length"}]}
    server.script.append(sends(event(first) + event(last) + b"data: [DONE]\n\n"))
    async with engine_over(server) as engine:
        deltas = [each async for each in await engine.generate(RAW) if isinstance(each, Delta)]
        await answer(engine, replace(RAW, raw=RawPrompt((5, 7), suffix="end")))
    assert "".join(delta.text for delta in deltas) == " upon a\r"
    (probable_,) = [found for delta in deltas for found in delta.logprobs]
    assert (probable_.piece, probable_.likeliest[0].piece) == (b" upon", b" a")
    one, other = server.asked
    assert (one["prompt"], one["logprobs"], "messages" in one) == ("Once", 1, False)
    assert (other["prompt"], other["suffix"]) == ([5, 7], "end")


async def test_a_server_that_would_pass_over_a_suffix_is_not_asked() -> None:
    async with FakeModelServer(counts=True) as server, engine_over(server) as engine:
        with pytest.raises(UnsupportedOption, match="suffix is not supported"):
            await engine.generate(replace(RAW, raw=RawPrompt("a", suffix="b")))
        assert await engine.count(RawPrompt("one two three")) == 3 + 4
        assert await engine.count(RawPrompt((1, 2))) == 2 + 4
        assert server.asked == []


async def test_a_servers_tokenizer_shows_its_tokens() -> None:
    async with FakeModelServer(counts=True) as server, engine_over(server) as engine:
        assert isinstance(engine, Tokenizes)
        assert await engine.tokenize(RawPrompt("one three")) == [3, 5]
        assert await engine.tokenize(RawPrompt((5, 7))) == [5, 7]
        assert await engine.detokenize([3, 5]) == "xxx xxxxx"
        with pytest.raises(NotOffered, match="does not show these tokens"):
            await engine.tokenize((ChatMessage("user", "hi"),))
        with pytest.raises(NotOffered, match="does not show these tokens"):
            await engine.texts([3])


async def test_a_server_without_a_tokenizer_shows_none(server: FakeModelServer) -> None:
    async with engine_over(server) as engine:
        with pytest.raises(NotOffered, match="does not show these tokens"):
            await engine.tokenize(RawPrompt("one"))
        with pytest.raises(NotOffered, match="does not show these tokens"):
            await engine.detokenize([3])


EMBEDDINGS = {"object": "list", "data": [{"index": 0, "embedding": [0.5]}]}


async def test_embeddings_are_asked_of_the_server(server: FakeModelServer) -> None:
    server.script.append(status(200, EMBEDDINGS))
    async with engine_over(server) as engine:
        assert isinstance(engine, Embeds)
        assert await engine.embed({"input": "Once"}) == EMBEDDINGS
        assert server.asked == [{"input": "Once", "model": MODEL}]
        with pytest.raises(NotOffered, match="makes no embeddings"):
            await engine.embed({"input": "Once"})


@pytest.mark.parametrize(
    ("answered", "error", "sentence"),
    [
        (status(200, {"data": "none"}), NotOffered, "makes no embeddings"),
        (sends(b"<html>", "application/json"), NotOffered, "makes no embeddings"),
        (status(400), NotOffered, "refuses this question"),
        (status(500), EngineFailed, "failed at this answer"),
        (status(401), NotOffered, "does not let Parley in"),
        (
            status(400, {"error": {"message": "This model's maximum context length is 9"}}),
            RequestError,
            "too long for the model's server",
        ),
    ],
)
async def test_embeddings_that_fail_are_explained_in_one_sentence(
    server: FakeModelServer, answered: Behaviour, error: type[Exception], sentence: str
) -> None:
    server.script.append(answered)
    async with engine_over(server) as engine:
        with pytest.raises(error, match=sentence):
            await engine.embed({"input": "Once"})


BEGUN = (ChatMessage("user", "hi"), ChatMessage("assistant", "I am", is_open=True))


async def test_a_server_that_can_is_asked_to_continue_the_last_message() -> None:
    async with FakeModelServer(counts=True) as server, engine_over(server) as engine:
        server.script.append(says(" fine"))
        text, _ = await answer(engine, replace(question(), messages=BEGUN))
    (asked,) = server.asked
    assert asked["continue_final_message"] is True
    assert asked["add_generation_prompt"] is False
    assert text == " fine"


class LlamaServer(FakeModelServer):
    """In its manner: it shows tokens, and takes every sampler."""

    async def _tokenize(self, request: web.Request) -> web.Response:
        return web.json_response({"tokens": [1, 2]})

    def _check(self, body: dict[str, Any]) -> None:
        assert "continue_final_message" not in body


@pytest.mark.parametrize(
    ("said", "read"),
    [
        (["I am fine", "."], " fine."),
        (["I", " a", "m", " fine."], " fine."),
        ([" fine."], " fine."),
        (["I a"], "I a"),
        (["I am", "I am"], "I am"),
        (["It", " is"], "It is"),
    ],
)
async def test_a_message_that_a_server_repeats_before_it_goes_on_is_left_out(
    said: list[str], read: str
) -> None:
    async with LlamaServer() as server, engine_over(server) as engine:
        server.script.append(says(*said))
        text, _ = await answer(engine, replace(question(), messages=BEGUN))
    assert text == read


async def test_a_server_that_cannot_continue_a_message_is_not_asked(
    server: FakeModelServer,
) -> None:
    async with engine_over(server) as engine:
        with pytest.raises(UnsupportedOption, match="continue_final_message is not supported"):
            await engine.generate(replace(question(), messages=BEGUN))
    assert server.asked == []


async def test_probabilities_are_asked_of_the_server_and_come_with_the_text(
    server: FakeModelServer,
) -> None:
    likeliest = [{"token": "Hel", "logprob": -0.5, "bytes": [72, 101, 108]}]
    first = {"token": "Hel", "logprob": -0.5, "top_logprobs": likeliest}
    half = {"token": "\ufffd", "logprob": -1, "bytes": [0xF0, 0x9F]}
    chunks = probable("Hel", first), probable("", half), probable("lo"), chunk(reason="stop")
    server.script.append(sends(b"".join(map(event, chunks)) + b"data: [DONE]\n\n"))
    async with engine_over(server) as engine:
        stream = await engine.generate(replace(question(), num_logprobs=1))
        deltas = [each async for each in stream if isinstance(each, Delta)]
        await answer(engine, question())
    found = [each for delta in deltas for each in delta.logprobs]
    assert found[0] == TokenLogprob(b"Hel", -0.5, (TokenLogprob(b"Hel", -0.5),))
    assert [(each.piece, each.logprob) for each in found[1:]] == [(b"\xf0\x9f", -1)]
    asked, plain = server.asked
    assert (asked["logprobs"], asked["top_logprobs"]) == (True, 1)
    assert "logprobs" not in plain


async def test_the_reply_that_hits_its_cap_says_so(server: FakeModelServer) -> None:
    server.script.append(says("Hel", reason="length"))
    async with engine_over(server) as engine:
        assert (await answer(engine, question()))[1].reason is FinishReason.LENGTH


async def test_a_server_that_ignores_the_cap_is_cut_off(server: FakeModelServer) -> None:
    server.script.append(says(*["x" * 100] * 200))
    async with engine_over(server) as engine:
        text, finished = await answer(engine, question(limit=10))
    assert finished.reason is FinishReason.LENGTH
    assert len(text) < 1_000


# The window


async def test_the_window_is_the_servers_up_to_the_one_that_is_set() -> None:
    async with FakeModelServer(window=2_000) as server:
        async with engine_over(server) as engine:
            assert engine.window == 2_000
        async with engine_over(server, window=1_000) as engine:
            assert engine.window == 1_000
        async with engine_over(server, window=9_000) as engine:
            assert engine.window == 2_000


async def test_a_question_that_cannot_fit_is_refused_before_it_is_sent() -> None:
    async with FakeModelServer(window=100) as server, engine_over(server) as engine:
        with pytest.raises(PromptTooLong, match="99 fit"):
            await engine.generate(question("word " * 100))
    assert server.asked == []


async def test_a_window_that_only_a_refusal_states_is_learnt(server: FakeModelServer) -> None:
    metrics = Metrics()
    message = "This model's maximum context length is 300 tokens. However, you requested 400 "
    said = {"error": {"message": message + "tokens (350 in the messages, 50 in the completion)."}}
    server.script.append(status(400, said))
    async with engine_over(server, metrics=metrics) as engine:
        stream = await engine.generate(question("word " * 100))
        with pytest.raises(PromptTooLong, match="350 tokens, and 299 fit"):
            await read(stream)
        assert engine.window == 300
    assert count(metrics, "engine_calls_total", status="context") == 1


async def test_a_refusal_without_numbers_makes_the_same_question_count_more(
    server: FakeModelServer,
) -> None:
    server.otherwise = status(400, {"error": {"message": "The context window is exceeded."}})
    async with engine_over(server) as engine:
        before = await engine.count(question().messages)
        with pytest.raises(PromptTooLong):
            await answer(engine, question())
        assert await engine.count(question().messages) > before


# Waiting and stopping


async def test_no_more_requests_than_the_bound_are_sent_at_once_and_the_others_get_their_place(
    server: FakeModelServer,
) -> None:
    gate, metrics = asyncio.Event(), Metrics()
    server.otherwise = waits_for(gate, "x")
    async with engine_over(server, metrics=metrics, max_running=2) as engine:
        began_at = time.monotonic()
        streams = [await engine.generate(question(person=f"p{n}")) for n in range(4)]
        queued_at = time.monotonic()
        queued = [await anext(stream) for stream in streams[2:]]
        assert [event.place for event in queued if isinstance(event, Queued)] == [1, 2]
        assert count(metrics, "queue_length") == 2
        await until(lambda: server.num_running == 2)
        opened_at = time.monotonic()
        gate.set()
        replies = await asyncio.gather(*map(read, streams))
    assert [text for text, _ in replies] == ["x end"] * 4
    assert server.most_running == 2
    waited = [finished.queue_seconds or 0.0 for _, finished in replies]
    assert max(waited[:2]) <= opened_at - began_at
    assert min(waited[2:]) >= opened_at - queued_at


async def test_a_request_that_waited_is_told_when_it_is_sent(server: FakeModelServer) -> None:
    gates = [asyncio.Event(), asyncio.Event()]
    server.script.extend(waits_for(gate) for gate in gates)
    async with engine_over(server, max_running=1) as engine:
        first, second = [await engine.generate(question(person=f"p{n}")) for n in range(2)]
        waiting = await anext(second)
        assert isinstance(waiting, Queued)
        assert waiting.place == 1
        gates[0].set()
        await read(first)
        assert await anext(second) == Queued(0)
        gates[1].set()
        await read(second)


async def test_a_person_with_many_requests_does_not_keep_others_waiting(
    server: FakeModelServer,
) -> None:
    gate = asyncio.Event()
    server.script.append(waits_for(gate))
    async with engine_over(server, max_running=1) as engine:
        flood = [await engine.generate(question(f"flood {n}")) for n in range(4)]
        single = await engine.generate(question("mine", person="bob"))
        gate.set()
        await asyncio.gather(*map(read, [*flood, single]))
    asked = [body["messages"][-1]["content"] for body in server.asked]
    assert asked.index("mine") == 1


async def test_the_queue_is_bounded_and_says_when_to_come_back(server: FakeModelServer) -> None:
    server.otherwise = waits_for(asyncio.Event())
    async with engine_over(server, max_running=1, max_waiting=1) as engine:
        for _ in range(2):
            await engine.generate(question())
        with pytest.raises(QueueFull) as refusal:
            await engine.generate(question())
        assert refusal.value.retry_after > 0


async def test_stopping_closes_the_connection_and_frees_the_slot(server: FakeModelServer) -> None:
    metrics = Metrics()
    server.script.append(waits_for(asyncio.Event(), "some"))
    async with engine_over(server, metrics=metrics, max_running=1) as engine:
        stream = await engine.generate(question())
        await anext(stream)
        waiting = await engine.generate(question(person="bob"))
        stream.cancel()
        _, finished = await read(stream)
        assert finished.reason is FinishReason.CANCELLED
        assert (await read(waiting))[0] == "ok"
        await until(lambda: server.num_hung_up == 1)
    assert count(metrics, "cancelled_total") == 1
    assert count(metrics, "engine_calls_total", status="cancelled") == 1


async def test_stopping_in_the_queue_sends_nothing_to_the_server(server: FakeModelServer) -> None:
    gate = asyncio.Event()
    server.script.append(waits_for(gate))
    async with engine_over(server, max_running=1) as engine:
        first = await engine.generate(question())
        waiting = await engine.generate(question(person="bob"))
        waiting.cancel()
        assert (await read(waiting))[1].reason is FinishReason.CANCELLED
        assert engine.num_waiting == 0
        gate.set()
        await read(first)
    assert len(server.asked) == 1


async def test_leaving_ends_every_reply(server: FakeModelServer) -> None:
    server.otherwise = waits_for(asyncio.Event(), "x")
    async with engine_over(server, max_running=1) as engine:
        streams = [await engine.generate(question()) for _ in range(2)]
    assert [(await read(stream))[1].reason for stream in streams] == [FinishReason.CANCELLED] * 2
    with pytest.raises(EngineFailed):
        await engine.generate(question())


# Several servers, and how they are


async def test_the_least_loaded_server_is_used(
    server: FakeModelServer, other: FakeModelServer
) -> None:
    gate = asyncio.Event()
    server.otherwise = other.otherwise = waits_for(gate)
    async with engine_over(server, other) as engine:
        streams = [await engine.generate(question(person=f"p{n}")) for n in range(6)]
        await until(lambda: server.num_running + other.num_running == 6)
        gate.set()
        await asyncio.gather(*map(read, streams))
    assert (server.most_running, other.most_running) == (3, 3)


async def test_the_smallest_window_of_all_servers_counts() -> None:
    async with (
        FakeModelServer(window=900) as small,
        FakeModelServer(window=2_000) as large,
        engine_over(small, large) as engine,
    ):
        assert engine.window == 900


async def test_servers_of_which_one_is_up_are_healthy_and_one_that_comes_back_is_used(
    server: FakeModelServer, other: FakeModelServer
) -> None:
    other.key = "not ours"
    async with engine_over(server, other) as engine:
        assert engine.is_healthy
        assert [each.is_up for each in engine.servers] == [True, False]
        other.key = None
        await until(lambda: all(each.is_up for each in engine.servers))


async def test_servers_that_all_refuse_are_a_wrong_setting() -> None:
    async with FakeModelServer(key="theirs") as server:
        with pytest.raises(ModelError, match="PARLEY_ENGINE_KEY"):
            await engine_over(server, key="wrong").__aenter__()


async def test_a_model_that_no_server_has_is_a_wrong_setting(server: FakeModelServer) -> None:
    with pytest.raises(ModelError, match=f"no model 'gpt', but {MODEL}; set PARLEY_ENGINE_MODEL"):
        await engine_over(server, model="gpt").__aenter__()


async def test_a_server_that_is_not_there_yet_is_waited_for() -> None:
    async with FakeModelServer() as server:
        pass
    async with engine_over(server) as engine:
        assert not engine.is_healthy
        text, finished = await answer(engine, question())
    assert text == ""
    assert finished.detail.startswith("The model's server cannot be reached.")

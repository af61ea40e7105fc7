"""Answer formats and samplers in the body of a request to a server."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest

from bot.answer_formats import AnswerFormat, Grammar, JsonObject, JsonSchema, OneOf, Quoted, Regex
from bot.errors import UnsupportedFormat
from bot.generation import BANNED, GenerationRequest, Sampling
from bot.inference.remote.chunks import body_of
from bot.inference.remote.dialects import DIALECTS, PLAIN, Dialect


def sampled(sampling: Sampling, dialect: Dialect) -> dict[str, object]:
    request = GenerationRequest(messages=(), person="ada", sampling=sampling)
    return body_of(request, "some-model", dialect)


def body(answer_format: AnswerFormat | None) -> dict[str, object]:
    request = GenerationRequest(messages=(), person="ada", answer_format=answer_format)
    return body_of(request, "some-model", PLAIN)


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
    "answer_format",
    [
        OneOf(("yes", "no")),
        Grammar("root ::= [a]"),
        Regex("a+"),
        JsonSchema("{"),
        JsonSchema("[" * 60_000),
    ],
)
def test_an_unsupported_format_is_refused(answer_format: AnswerFormat) -> None:
    with pytest.raises(UnsupportedFormat):
        body(answer_format)


def test_quoted_answers_are_refused_in_a_sentence_for_people() -> None:
    with pytest.raises(UnsupportedFormat, match="need the model in Parley's own process"):
        body(Quoted((), "I did not find this."))


BY_NAME = {dialect.name: dialect for dialect in (PLAIN, *DIALECTS)}
ALL = Sampling(
    mirostat=2, mirostat_tau=3.0, dry_multiplier=0.5, dry_sequence_breakers=("#",), typical_p=0.9,
    xtc_probability=0.1, repeat_last_n=7, logit_bias=((5, 1.0), ("Hello", 2.0), (6, BANNED)),
)  # fmt: skip


def test_llama_server_gets_every_sampler_under_its_own_name() -> None:
    sent = sampled(ALL, BY_NAME["llama-server"])
    written = asdict(ALL) | {"logit_bias": [[5, 1.0], ["Hello", 2.0], [6, False]]}
    for name in written.keys() - {"seed", "frequency_penalty", "presence_penalty"}:
        assert sent[name] == written[name], name
    assert not any(BY_NAME["llama-server"].lacks(ALL, name) for name in written)


def test_llama_cpp_python_calls_mirostat_a_mode() -> None:
    sent = sampled(ALL, BY_NAME["llama-cpp-python"])
    assert (sent["mirostat_mode"], sent["mirostat_tau"]) == (2, 3.0)
    assert "mirostat" not in sent
    assert "typical_p" not in sent


def test_other_servers_get_biases_as_openai_defines_them() -> None:
    assert sampled(ALL, PLAIN)["logit_bias"] == {"5": 1.0, "6": -100.0}
    assert "logit_bias" not in sampled(Sampling(), PLAIN)


def test_a_temperature_too_low_for_a_server_is_sent_as_greedy() -> None:
    assert sampled(Sampling(temperature=1e-38), PLAIN)["temperature"] == 0


@pytest.mark.parametrize(
    ("dialect", "lacking"),
    [
        ("OpenAI", "top_k min_p typical_p mirostat dry_multiplier dry_base xtc_probability"),
        ("OpenAI", "repeat_last_n logit_bias"),
        ("vLLM", "typical_p mirostat mirostat_tau dry_base xtc_threshold logit_bias"),
        ("llama-cpp-python", "typical_p dry_multiplier xtc_probability repeat_last_n logit_bias"),
    ],
)
def test_what_a_server_lacks_is_known(dialect: str, lacking: str) -> None:
    for name in lacking.split():
        assert BY_NAME[dialect].lacks(ALL, name), name


def test_what_has_no_effect_is_not_lacking() -> None:
    off = Sampling(top_k=0, min_p=0, dry_base=3, mirostat_tau=1, xtc_threshold=0.4, seed=4)
    assert not any(PLAIN.lacks(off, name) for name in asdict(off) if name != "repeat_last_n")
    assert not PLAIN.lacks(replace(ALL, logit_bias=((5, 1.0),)), "logit_bias")

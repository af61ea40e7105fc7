"""Replies held to a grammar by the real llama.cpp, over the real vocabulary, without a model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import repeat
from typing import Protocol

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.inference.core.sequence import NO_TOKEN
from bot.inference.grammar.check import checked
from bot.inference.grammar.constrained import ConstrainedReply, Logits
from bot.inference.grammar.formats import grammar_of
from bot.inference.grammar.gbnf import render
from bot.inference.grammar.schema import rules_of
from bot.inference.llama.model import LlamaModel
from bot.inference.llama.samplers import NativeGrammar, SamplerChain
from bot.inference.llama.vocabulary import Vocabulary
from bot.types import JsonSchema, OneOf, Sampling
from tests.bot.inference.grammar.schemas import Schema, schemas
from tests.bot.inference.grammar.test_schema import validate
from tests.bot.inference.grammar.texts import Writer

pytestmark = pytest.mark.model

END = 2
"""SmolLM2's token that ends a reply."""
WILD = Sampling(temperature=1, top_k=0, top_p=1, min_p=0)


class Constrain(Protocol):
    def __call__(self, grammar: str, sampling: Sampling = WILD) -> ConstrainedReply: ...


@pytest.fixture
def vocabulary(smollm2: LlamaModel) -> Vocabulary:
    return smollm2.vocabulary


@pytest.fixture
def constrain(vocabulary: Vocabulary) -> Iterator[Constrain]:
    opened: list[SamplerChain | ConstrainedReply] = []

    def make(grammar: str, sampling: Sampling = WILD) -> ConstrainedReply:
        chain = SamplerChain(vocabulary, sampling)
        constrained = ConstrainedReply(NativeGrammar(vocabulary.native, grammar), chain, vocabulary)
        opened.extend((chain, constrained))
        return constrained

    yield make
    for each in opened:
        each.close()


def preferring(vocabulary: Vocabulary, *tokens: int) -> Logits:
    """Logits of a model that wants these tokens, the first one most."""
    logits = np.zeros(vocabulary.num_tokens, np.float32)
    for rank, token in enumerate(tokens):
        logits[token] = 100 - 20 * rank
    return logits


def whims(vocabulary: Vocabulary, seed: int) -> Iterator[Logits]:
    """Logits of a model that prefers single bytes and seldom ends."""
    chance = np.random.default_rng(seed)
    favours = np.zeros(vocabulary.num_tokens, np.float32)
    favours[[t for t in range(vocabulary.num_tokens) if len(vocabulary.piece(t)) <= 1]] = 8
    while True:
        yield chance.normal(size=vocabulary.num_tokens).astype(np.float32) + favours


def said(constrained: ConstrainedReply, vocabulary: Vocabulary, wishes: Iterator[Logits]) -> str:
    text = b""
    for _ in range(3_000):
        token = constrained.sample(next(wishes))
        assert token != NO_TOKEN
        if vocabulary.is_end(token):
            return text.decode()
        text += vocabulary.piece(token)
    raise AssertionError(f"never ended: {text[:200]!r}")


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(schema=schemas, seed=st.integers(0, 2**32))
def test_whatever_the_logits_are_the_reply_is_valid(
    constrain: Constrain, vocabulary: Vocabulary, schema: Schema, seed: int
) -> None:
    constrained = constrain(grammar_of(JsonSchema(json.dumps(schema))))
    validate(schema, said(constrained, vocabulary, whims(vocabulary, seed)))


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(schema=schemas, seed=st.integers(0, 2**32))
def test_llama_cpp_allows_every_text_that_fits_the_rules(
    vocabulary: Vocabulary, schema: Schema, seed: int
) -> None:
    rules = checked(rules_of(schema))
    grammar = NativeGrammar(vocabulary.native, render(rules))
    text = Writer(rules, seed).write()
    for token in vocabulary.tokenize(text):
        assert grammar.allowed(np.array([token], np.int32))[0], text
        grammar.accept(token)
    assert grammar.allowed(np.array([END], np.int32))[0]
    grammar.close()


def test_a_first_choice_that_fits_is_kept(constrain: Constrain, vocabulary: Vocabulary) -> None:
    (yes,) = vocabulary.tokenize("yes")
    constrained = constrain(grammar_of(OneOf(("yes", "no"))))
    assert constrained.sample(preferring(vocabulary, yes)) == yes
    assert not constrained.was_refused


def test_a_first_choice_that_does_not_fit_is_sampled_again(
    constrain: Constrain, vocabulary: Vocabulary
) -> None:
    (maybe,), (no,) = vocabulary.tokenize("maybe"), vocabulary.tokenize("no")
    constrained = constrain(grammar_of(OneOf(("yes", "no"))))
    assert constrained.sample(preferring(vocabulary, maybe, no)) == no
    assert constrained.was_refused
    assert vocabulary.is_end(constrained.sample(preferring(vocabulary, maybe, no)))


def test_the_only_way_on_is_found_among_all_tokens(
    constrain: Constrain, vocabulary: Vocabulary
) -> None:
    """The 256 likeliest tokens are all refused."""
    words = [t for t in range(vocabulary.num_tokens) if vocabulary.piece(t)[:1].isalpha()]
    constrained = constrain(grammar_of(OneOf(("§ 7",))))
    wishes = np.zeros(vocabulary.num_tokens, np.float32)
    wishes[words] = 5
    assert said(constrained, vocabulary, repeat(wishes)) == "§ 7"


def test_special_tokens_do_not_fit_as_characters(
    constrain: Constrain, vocabulary: Vocabulary
) -> None:
    """For llama.cpp's grammars <|im_start|> is the text that it is named."""
    (quote,), (letter,) = vocabulary.tokenize('"'), vocabulary.tokenize("x")
    constrained = constrain(
        grammar_of(JsonSchema('{"type": "string", "minLength": 1, "maxLength": 20}'))
    )
    constrained.sample(preferring(vocabulary, quote))
    assert constrained.sample(preferring(vocabulary, 1, letter)) == letter


def test_bytes_that_are_no_utf_8_are_refused(constrain: Constrain, vocabulary: Vocabulary) -> None:
    """For llama.cpp's grammars E0 82 is the beginning of a character."""
    bare = {vocabulary.piece(t): t for t in range(1_000) if len(vocabulary.piece(t)) == 1}
    constrained = constrain(grammar_of(JsonSchema('{"type": "string", "maxLength": 5}')))
    constrained.sample(preferring(vocabulary, bare[b'"']))
    assert constrained.sample(preferring(vocabulary, bare[b"\xe0"])) == bare[b"\xe0"]
    assert constrained.sample(preferring(vocabulary, bare[b"\x82"], bare[b"\xa4"])) == bare[b"\xa4"]


def test_penalties_count_the_sampled_tokens(constrain: Constrain, vocabulary: Vocabulary) -> None:
    (quote,), (a,), (b,) = map(vocabulary.tokenize, '"ab')
    grammar = grammar_of(JsonSchema('{"type": "string", "pattern": "^[ab]{2}$"}'))
    constrained = constrain(grammar, Sampling(temperature=0, presence_penalty=2))
    constrained.sample(preferring(vocabulary, quote))
    wish = np.zeros(vocabulary.num_tokens, np.float32)
    wish[[a, b]] = 10, 9
    assert [constrained.sample(wish), constrained.sample(wish)] == [a, b]


def test_a_reply_resumes_where_it_was(constrain: Constrain, vocabulary: Vocabulary) -> None:
    grammar = grammar_of(JsonSchema('{"type": "array", "items": {"const": "ü"}, "maxItems": 2}'))
    before = vocabulary.tokenize('["ü","ü"')
    (comma,), (bracket,) = vocabulary.tokenize(","), vocabulary.tokenize("]")
    constrained = constrain(grammar)
    constrained.resume(before)
    assert constrained.sample(preferring(vocabulary, comma, bracket)) == bracket
    assert vocabulary.is_end(constrained.sample(preferring(vocabulary, comma)))


def test_a_grammar_that_explodes_ends_its_reply(
    constrain: Constrain, vocabulary: Vocabulary
) -> None:
    """Each bracket may belong to either option, so there are ever more ways to read them."""
    nested = {"type": "array", "items": {"$ref": "#"}}
    schema = {"anyOf": [{**nested, "minItems": 1}, {**nested, "maxItems": 5}]}
    constrained = constrain(grammar_of(JsonSchema(json.dumps(schema))))
    (bracket,) = vocabulary.tokenize("[")
    tokens = [constrained.sample(preferring(vocabulary, bracket)) for _ in range(20)]
    assert tokens[:5] == [bracket] * 5
    assert tokens[-1] == NO_TOKEN

"""Replies held to a grammar over the real vocabulary, without a model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice, repeat
from typing import Protocol

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from bot.answer_formats import JsonSchema, OneOf
from bot.generation import Sampling, Tool, ToolUse
from bot.inference.core.sequence import NO_TOKEN, Forced
from bot.inference.grammar.calls import CallMatcher, call_grammar
from bot.inference.grammar.constrained import ConstrainedReply, Logits, allowed
from bot.inference.grammar.formats import grammar_of
from bot.inference.llama.grammars import Grammars
from bot.inference.llama.model import LlamaModel
from bot.inference.llama.samplers import SamplerChain
from bot.inference.llama.vocabulary import Vocabulary
from tests.bot.inference.grammar.schemas import Schema, schemas
from tests.bot.inference.grammar.test_schema import validate
from tests.bot.inference.grammar.texts import Texts

pytestmark = pytest.mark.model

END = 2
"""SmolLM2's token that ends a reply."""
WILD = Sampling(temperature=1, top_k=0, top_p=1, min_p=0)


class Constrain(Protocol):
    def __call__(
        self, grammar: str, sampling: Sampling = WILD, *, goes_ahead: bool = False
    ) -> ConstrainedReply: ...


@pytest.fixture
def vocabulary(smollm2: LlamaModel) -> Vocabulary:
    return smollm2.vocabulary


@pytest.fixture(scope="module")
def grammars(smollm2: LlamaModel) -> Grammars:
    return Grammars(smollm2.vocabulary)


@pytest.fixture
def constrain(vocabulary: Vocabulary, grammars: Grammars) -> Iterator[Constrain]:
    opened: list[SamplerChain] = []

    def make(
        grammar: str, sampling: Sampling = WILD, *, goes_ahead: bool = False
    ) -> ConstrainedReply:
        chain = SamplerChain(vocabulary, sampling)
        opened.append(chain)
        matcher = grammars.matcher(grammar)
        return ConstrainedReply(matcher, chain, vocabulary.is_end, goes_ahead=goes_ahead)

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


def one(constrained: ConstrainedReply, logits: Logits) -> int:
    (token,) = constrained.sample(logits)
    return token


def said(constrained: ConstrainedReply, vocabulary: Vocabulary, wishes: Iterator[Logits]) -> str:
    text = b""
    for _ in range(3_000):
        tokens = constrained.sample(next(wishes))
        for token in tokens:
            assert token != NO_TOKEN
            if vocabulary.is_end(token):
                assert token == tokens[-1]
                return text.decode()
            text += vocabulary.piece(token)
    raise AssertionError(f"never ended: {text[:200]!r}")


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(schema=schemas, seed=st.integers(0, 2**32), goes_ahead=st.booleans())
def test_whatever_the_logits_are_the_reply_is_valid(
    constrain: Constrain, vocabulary: Vocabulary, schema: Schema, seed: int, goes_ahead: bool
) -> None:
    grammar = grammar_of(JsonSchema(json.dumps(schema)))
    constrained = constrain(grammar, goes_ahead=goes_ahead)
    validate(schema, said(constrained, vocabulary, whims(vocabulary, seed)))


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(schema=schemas, seed=st.integers(0, 2**32))
def test_every_text_that_fits_may_be_written_in_tokens_of_the_model(
    grammars: Grammars, vocabulary: Vocabulary, schema: Schema, seed: int
) -> None:
    grammar = grammar_of(JsonSchema(json.dumps(schema)))
    text = Texts(grammar, hint=json.dumps(schema, ensure_ascii=False)).random(seed)
    tokens = vocabulary.tokenize(text)
    assume(b"".join(map(vocabulary.piece, tokens)) == text.encode())  # none has the byte F1 or F2
    matcher = grammars.matcher(grammar)
    for token in tokens:
        assert token in allowed(matcher), text
        matcher.consume_token(token)
    assert END in allowed(matcher)


def test_a_choice_that_fits_is_kept(constrain: Constrain, vocabulary: Vocabulary) -> None:
    (yes,) = vocabulary.tokenize("yes")
    constrained = constrain(grammar_of(OneOf(("yes", "no"))))
    token = one(constrained, preferring(vocabulary, yes))
    assert token == yes
    assert not isinstance(token, Forced)


def test_a_choice_that_does_not_fit_is_never_made(
    constrain: Constrain, vocabulary: Vocabulary
) -> None:
    (maybe,), (no,) = vocabulary.tokenize("maybe"), vocabulary.tokenize("no")
    constrained = constrain(grammar_of(OneOf(("yes", "no"))))
    assert one(constrained, preferring(vocabulary, maybe, no)) == no
    assert vocabulary.is_end(one(constrained, preferring(vocabulary, maybe, no)))


def test_a_token_without_an_alternative_is_said_to_be_forced(
    constrain: Constrain, vocabulary: Vocabulary
) -> None:
    constrained = constrain(grammar_of(JsonSchema('{"const": [0, 0, 0, 0]}')))
    tokens = [one(constrained, preferring(vocabulary)) for _ in range(6)]
    assert all(isinstance(token, Forced) for token in tokens)


@pytest.mark.parametrize("text", ["hello world, dear friends", "größer 日本 🙂", "a  b\\n"])
def test_what_is_forced_comes_at_once_and_as_the_model_itself_writes_it(
    constrain: Constrain, vocabulary: Vocabulary, text: str
) -> None:
    constrained = constrain(grammar_of(OneOf((text,))), goes_ahead=True)
    tokens = constrained.sample(preferring(vocabulary))
    assert tokens[:-1] == vocabulary.tokenize(text)
    assert vocabulary.is_end(tokens[-1])


def test_a_reply_goes_on_after_what_it_must_begin_with(
    constrain: Constrain, vocabulary: Vocabulary, smollm2: LlamaModel
) -> None:
    schema = {"properties": {"name": {"enum": ["Ada"]}, "age": {"const": 36}}, "required": ["age"]}
    grammar = grammar_of(JsonSchema(json.dumps(schema)))
    begun = smollm2.beginning(grammar)
    assert b"".join(map(vocabulary.piece, begun)) == b'{"'
    constrained = constrain(grammar, goes_ahead=True)
    constrained.resume(begun)
    (age,) = vocabulary.tokenize("age")
    assert said(constrained, vocabulary, repeat(preferring(vocabulary, age))) == 'age": 36}'


def test_only_what_stays_whatever_is_chosen_next_is_forced(
    constrain: Constrain, vocabulary: Vocabulary
) -> None:
    constrained = constrain(grammar_of(OneOf(("a red", "a redder"))), goes_ahead=True)
    assert len(constrained.sample(preferring(vocabulary))) == 1
    assert said(constrained, vocabulary, repeat(preferring(vocabulary))) in (" red", " redder")


def test_a_reply_with_a_long_forced_run_goes_on_after_it(
    constrain: Constrain, vocabulary: Vocabulary
) -> None:
    constrained = constrain(grammar_of(OneOf(("word " * 700,))), goes_ahead=True)
    few = islice(repeat(preferring(vocabulary)), 9)
    assert said(constrained, vocabulary, few) == "word " * 700


def test_the_only_way_on_is_found_among_all_tokens(
    constrain: Constrain, vocabulary: Vocabulary
) -> None:
    words = [t for t in range(vocabulary.num_tokens) if vocabulary.piece(t)[:1].isalpha()]
    constrained = constrain(grammar_of(OneOf(("§ 7",))))
    wishes = np.zeros(vocabulary.num_tokens, np.float32)
    wishes[words] = 5
    assert said(constrained, vocabulary, repeat(wishes)) == "§ 7"


def test_special_tokens_do_not_fit_as_characters(
    constrain: Constrain, vocabulary: Vocabulary
) -> None:
    (quote,), (letter,) = vocabulary.tokenize('"'), vocabulary.tokenize("x")
    constrained = constrain(
        grammar_of(JsonSchema('{"type": "string", "minLength": 1, "maxLength": 20}'))
    )
    one(constrained, preferring(vocabulary, quote))
    assert one(constrained, preferring(vocabulary, 1, letter)) == letter


def test_bytes_that_are_no_utf_8_are_refused(constrain: Constrain, vocabulary: Vocabulary) -> None:
    bare = {vocabulary.piece(t): t for t in range(1_000) if len(vocabulary.piece(t)) == 1}
    constrained = constrain(grammar_of(JsonSchema('{"type": "string", "maxLength": 5}')))
    one(constrained, preferring(vocabulary, bare[b'"']))
    assert one(constrained, preferring(vocabulary, bare[b"\xe0"])) == bare[b"\xe0"]
    assert one(constrained, preferring(vocabulary, bare[b"\x82"], bare[b"\xa4"])) == bare[b"\xa4"]


def test_penalties_count_the_sampled_tokens(constrain: Constrain, vocabulary: Vocabulary) -> None:
    (quote,), (a,), (b,) = map(vocabulary.tokenize, '"ab')
    grammar = grammar_of(JsonSchema('{"type": "string", "pattern": "^[ab]{2}$"}'))
    constrained = constrain(grammar, Sampling(temperature=0, presence_penalty=2))
    one(constrained, preferring(vocabulary, quote))
    wish = np.zeros(vocabulary.num_tokens, np.float32)
    wish[[a, b]] = 10, 9
    assert [one(constrained, wish), one(constrained, wish)] == [a, b]


def test_a_reply_resumes_where_it_was(constrain: Constrain, vocabulary: Vocabulary) -> None:
    grammar = grammar_of(JsonSchema('{"type": "array", "items": {"const": "ü"}, "maxItems": 2}'))
    before = vocabulary.tokenize('["ü", "ü"')
    (comma,), (bracket,) = vocabulary.tokenize(","), vocabulary.tokenize("]")
    constrained = constrain(grammar)
    constrained.resume(before)
    assert one(constrained, preferring(vocabulary, comma, bracket)) == bracket
    assert vocabulary.is_end(one(constrained, preferring(vocabulary, comma)))


def test_a_grammar_with_ever_more_ways_to_read_it_goes_on(
    constrain: Constrain, vocabulary: Vocabulary
) -> None:
    """Each bracket may belong to either option."""
    nested = {"type": "array", "items": {"$ref": "#"}}
    schema = {"anyOf": [{**nested, "minItems": 1}, {**nested, "maxItems": 5}]}
    constrained = constrain(grammar_of(JsonSchema(json.dumps(schema))))
    (bracket,) = vocabulary.tokenize("[")
    tokens = [one(constrained, preferring(vocabulary, bracket)) for _ in range(40)]
    assert NO_TOKEN not in tokens


def test_in_free_text_a_reply_pays_for_no_masks(grammars: Grammars, vocabulary: Vocabulary) -> None:
    class Counted(CallMatcher):
        num_masks = 0

        def compute_bitmask(self) -> bytes:
            self.num_masks += 1
            return super().compute_bitmask()

    use = ToolUse((Tool("now"),), frozenset({"now"}))
    grammar = call_grammar(use, vocabulary.calls, None, lambda _: True)
    matcher, chain = Counted(grammar, grammars.matcher), SamplerChain(vocabulary, WILD)
    constrained = ConstrainedReply(matcher, chain, vocabulary.is_end)
    wanted = vocabulary.tokenize("It is noon. " * 20)
    assert [one(constrained, preferring(vocabulary, token)) for token in wanted] == wanted
    assert matcher.num_masks == 1
    special = vocabulary.tokenize("<|im_start|>", parses_special=True)
    assert one(constrained, preferring(vocabulary, *special, *wanted[:1])) == wanted[0]
    assert one(constrained, preferring(vocabulary, END)) == END
    assert matcher.num_masks == 3
    chain.close()

"""Quotations over the real vocabulary: whatever is sampled stands in its passage."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from bot.answer_formats import Quoted, QuotedPassage, Sentence
from bot.inference.grammar.constrained import ahead, allowed
from bot.inference.grammar.formats import grammar_of
from bot.inference.llama.grammars import Grammars
from bot.inference.llama.model import LlamaModel
from bot.strategies.sentences import sentences
from tests import quotations

pytestmark = pytest.mark.model

REFUSAL = "I did not find this in the handbook."
RUN = (
    Sentence("One is first."),
    Sentence(" Two is next."),
    Sentence(" Three is long,"),
    Sentence(" and goes on.", is_rest=True),
)
NUMBERS = Quoted((QuotedPassage(7, (RUN,)),), REFUSAL)


@pytest.fixture(scope="module")
def grammars(smollm2: LlamaModel) -> Grammars:
    return Grammars(smollm2.vocabulary)


Follows = Callable[[str, Quoted], bool]


@pytest.fixture
def follows(smollm2: LlamaModel, grammars: Grammars) -> Follows:
    def follow(text: str, quoted: Quoted) -> bool:
        matcher = grammars.matcher(grammar_of(quoted))
        tokens = smollm2.vocabulary.tokenize(text)
        return matcher.consume_tokens(tokens) and matcher.is_accepting()

    return follow


def walk(model: LlamaModel, grammars: Grammars, quoted: Quoted, chance: random.Random) -> str:
    """An answer whose tokens are any that are allowed; its end is chosen seldom."""
    matcher, tokens = grammars.matcher(grammar_of(quoted)), list[int]()
    while True:
        choices = allowed(matcher).tolist()
        assert choices, "there is no way on"
        if not tokens:  # a refusal is no news
            choices = [each for each in choices if model.piece(each).startswith(b">")] or choices
        going_on = [each for each in choices if not model.is_end(each)]
        token = chance.choice(going_on if going_on and chance.random() < 0.9 else choices)
        if model.is_end(token):
            return b"".join(map(model.piece, tokens)).decode()
        assert matcher.consume_token(token)
        tokens += [token, *ahead(matcher)]


def test_whatever_is_sampled_stands_in_the_texts(smollm2: LlamaModel, grammars: Grammars) -> None:
    num_quotations = 0
    for seed in range(40):
        sources = quotations.corpus(seed).sources
        passages = tuple(
            QuotedPassage(number, sentences(source.excerpt))
            for number, source in enumerate(sources, 1)
        )
        answer = walk(smollm2, grammars, Quoted(passages, REFUSAL), random.Random(seed))  # noqa: S311
        lines = answer.split("\n\n")
        assert [quotations.fault(line, sources) for line in lines] == [""] * len(lines)
        num_quotations += len(lines)
    assert num_quotations > 60


@pytest.mark.parametrize(
    "answer",
    [
        REFUSAL,
        "> “One is first.” [7]",
        "> “One is first. Two is next.” [7]",
        "> “Two is next. Three is long,” … [7]",
        "> … “and goes on.” [7]",
        "> “One is first.” [7]\n\n> “Three is long, and goes on.” [7]",
        "> “One is first.” [7]\n\n> “Two is next.” [7]\n\n> “Three is long,” … [7]",
    ],
)
def test_a_quotation_is_of_sentences_that_follow_each_other(follows: Follows, answer: str) -> None:
    assert follows(answer, NUMBERS)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "Yes.",
        REFUSAL.removesuffix("."),
        "> “One is” [7]",
        "> “One is first.” [1]",
        "> “One is first. Three is long,” … [7]",
        "> “and goes on.” [7]",
        "> “Three is long,” [7]",
        "> “One is first.” [7] Really.",
        "> “One is first.” [7]\n\n> “One is first.” [7]",
        "> “One is first.” [7]\n\n" + REFUSAL,
    ],
)
def test_nothing_else_is_an_answer(follows: Follows, answer: str) -> None:
    assert not follows(answer, NUMBERS)


def test_an_answer_that_goes_on_quotes_more_or_ends(follows: Follows) -> None:
    quoted = replace(NUMBERS, goes_on=True)
    assert follows("", quoted)
    assert follows("\n\n> “Two is next.” [7]", quoted)
    assert not follows(REFUSAL, quoted)


def test_without_a_passage_it_refuses(follows: Follows) -> None:
    assert follows(REFUSAL, Quoted((), REFUSAL))
    assert not follows("> “One is first.” [7]", Quoted((), REFUSAL))


def test_what_is_no_choice_is_not_sampled(smollm2: LlamaModel, grammars: Grammars) -> None:
    """So most of a quotation is evaluated like a prompt, many tokens in one step."""
    matcher = grammars.matcher(grammar_of(NUMBERS))
    matcher.consume_tokens(smollm2.vocabulary.tokenize("> “One"))
    assert b"".join(map(smollm2.piece, ahead(matcher))) == b" is first"


def test_long_grammars_do_not_fill_the_memory(
    smollm2: LlamaModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = [grammar_of(replace(NUMBERS, refusal=f"Not found in {name}.")) for name in "abc"]
    monkeypatch.setattr("bot.inference.llama.grammars._MAX_CHARACTERS", 2 * len(long[0]))
    grammars = Grammars(smollm2.vocabulary)
    for grammar in long:
        grammars.matcher(grammar)
    assert [*grammars._compiled] == long[1:]

"""Each way to choose the next token, tried with the real model on one prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from bot.generation import BANNED, Sampling
from bot.inference.core.sequence import Chunk, Logprobs, Opening, Release, Step
from bot.inference.llama.model import LlamaModel

pytestmark = pytest.mark.model

GREEDY = Sampling(temperature=0)
WILD = Sampling(temperature=2, top_k=0, top_p=1, min_p=0)
SEEDS = range(6)


class Prompt:
    """``next`` samples one token after the prompt and ``generated``, which counts as the reply."""

    def __init__(self, model: LlamaModel) -> None:
        self._model = model
        self._tokens = model.vocabulary.tokenize("Once upon a time, there was")
        self.best = self.next(GREEDY)

    def next(self, sampling: Sampling, generated: Sequence[int] = ()) -> int:
        opening = Opening(0, sampling, list(generated))
        step = Step([Release(0), opening], [Chunk(0, 0, self._tokens, True)])
        (token,) = self._model.run(step)[0]
        self._model.run(Step([Release(0)], []))
        return token

    def all_next(self, sampling: Sampling) -> set[int]:
        return {self.next(replace(sampling, seed=seed)) for seed in SEEDS}


@pytest.fixture(scope="module")
def prompt(smollm2: LlamaModel) -> Prompt:
    return Prompt(smollm2)


@pytest.mark.parametrize("temperature", [1e-38, 1e-45, 1e-30, 1e-6])
def test_the_lowest_temperatures_are_greedy(prompt: Prompt, temperature: float) -> None:
    cold = Sampling(temperature=temperature, top_k=0, top_p=1, min_p=0)
    assert prompt.all_next(cold) == {prompt.best}


@pytest.mark.parametrize("mirostat", [1, 2])
def test_mirostat_changes_nothing_at_temperature_0(prompt: Prompt, mirostat: int) -> None:
    surprising = replace(GREEDY, mirostat=mirostat, mirostat_tau=20)
    assert prompt.all_next(surprising) == {prompt.best}


@pytest.mark.parametrize("mirostat", [1, 2])
def test_mirostat_holds_the_surprise_down_that_is_asked_for(prompt: Prompt, mirostat: int) -> None:
    calm = replace(WILD, mirostat=mirostat, mirostat_tau=0)
    assert prompt.all_next(calm) == {prompt.best}
    assert len(prompt.all_next(replace(calm, mirostat_tau=20))) > 1


@pytest.mark.parametrize("sampling", [GREEDY, Sampling(), WILD])
def test_a_bias_of_100_forces_a_token_named_by_its_number_or_text(
    prompt: Prompt, smollm2: LlamaModel, sampling: Sampling
) -> None:
    (token,) = smollm2.vocabulary.tokenize("zebra"[-3:])
    for name in (token, "zebra"[-3:]):
        assert prompt.all_next(replace(sampling, logit_bias=((name, 100.0),))) == {token}


@pytest.mark.parametrize(
    "odd",
    [
        replace(WILD, typical_p=0.5),
        replace(WILD, mirostat=1),
        replace(WILD, mirostat=2),
        replace(WILD, xtc_probability=1, xtc_threshold=0.1),
        replace(WILD, temperature=1e-4),
    ],
)
def test_a_forced_token_is_chosen_whatever_else_is_asked(prompt: Prompt, odd: Sampling) -> None:
    assert prompt.all_next(replace(odd, logit_bias=((700, 100.0),))) == {700}


@pytest.mark.parametrize("bias", [-100.0, BANNED])
@pytest.mark.parametrize("sampling", [GREEDY, replace(WILD, temperature=0.3)])
def test_a_token_can_be_ruled_out(prompt: Prompt, sampling: Sampling, bias: float) -> None:
    assert prompt.best in prompt.all_next(sampling)
    assert prompt.best not in prompt.all_next(replace(sampling, logit_bias=((prompt.best, bias),)))


def test_xtc_leaves_the_likeliest_tokens_out(prompt: Prompt) -> None:
    xtc = replace(WILD, temperature=1, xtc_probability=1, xtc_threshold=0.01)
    assert prompt.best not in prompt.all_next(xtc)
    assert prompt.best in prompt.all_next(replace(xtc, temperature=0.5, xtc_threshold=0.6))


def test_typical_p_narrows_the_choice(prompt: Prompt) -> None:
    assert len(prompt.all_next(replace(WILD, typical_p=0))) == 1
    assert len(prompt.all_next(WILD)) > 1


def test_what_typical_p_keeps_does_not_depend_on_a_token_that_is_out_of_reach(
    prompt: Prompt,
) -> None:
    typical = replace(WILD, typical_p=0.2)
    ruled_out = replace(typical, logit_bias=((36394, BANNED),))
    assert prompt.all_next(ruled_out) == prompt.all_next(typical)


def test_repeat_last_n_is_how_far_back_penalties_look(prompt: Prompt) -> None:
    penalised = replace(GREEDY, repeat_penalty=2, repeat_last_n=5)
    long_ago = [prompt.best, *range(400, 410)]
    assert prompt.next(penalised, long_ago) == prompt.best
    for num_last in (11, -1, 2**31 - 1):
        assert prompt.next(replace(penalised, repeat_last_n=num_last), long_ago) != prompt.best
    assert prompt.next(replace(penalised, repeat_last_n=0), long_ago) == prompt.best


def test_dry_is_measured_by_length_reach_and_breakers(prompt: Prompt, smollm2: LlamaModel) -> None:
    dry = replace(GREEDY, dry_multiplier=5, dry_base=4)
    once, again = [500, 501, 502, prompt.best, 600], [500, 501, 502]
    said = [*once, *again]
    assert prompt.next(dry, said) != prompt.best
    assert prompt.next(replace(dry, dry_allowed_length=4), said) == prompt.best
    assert prompt.next(replace(dry, dry_penalty_last_n=6), said) == prompt.best
    assert prompt.next(replace(dry, dry_penalty_last_n=-1), said) != prompt.best
    breaker = smollm2.piece(502).decode()
    assert prompt.next(replace(dry, dry_sequence_breakers=(breaker,)), said) == prompt.best
    assert prompt.next(replace(dry, dry_sequence_breakers=()), said) != prompt.best


def test_the_models_own_probabilities_are_noted_whatever_the_samplers_do(
    smollm2: LlamaModel, prompt: Prompt
) -> None:
    tokens = smollm2.vocabulary.tokenize("Once upon a time, there was")
    forced = Logprobs(5)
    opening = Opening(0, replace(WILD, logit_bias=((700, 100.0),)), [], logprobs=forced)
    chosen = smollm2.run(Step([opening], [Chunk(0, 0, tokens, True)]))
    smollm2.run(Step([Release(0)], []))
    logits = smollm2.logits(Chunk(0, 0, tokens, True)).astype(np.float64)
    smollm2.clear(0)
    expected = logits - np.log(np.exp(logits).sum())
    ((own, *likeliest),) = forced.noted
    assert chosen == {0: [700]}
    assert own[0] == 700
    assert own[1] == pytest.approx(expected[700], abs=1e-3)
    assert [token for token, _ in likeliest] == list(np.argsort(-expected)[:5])
    assert likeliest[0][0] == prompt.best
    assert likeliest[0][1] == pytest.approx(expected.max(), abs=1e-3)

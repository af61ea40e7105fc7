"""Drafts in the real llama.cpp: a reply is what the same samples would make it without them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bot.generation import ChatMessage, Sampling
from bot.inference.core.sequence import Chunk, Logprobs, Opening, Release, Step
from bot.inference.llama.model import LlamaModel
from bot.inference.llama.options import KVLayout, LlamaOptions
from bot.inference.model_files import locate
from tests.bot.inference.llama.bare import TOLERANCE, regret
from tests.fakes.tiny_models import LLAMA, write_tiny_model
from tests.vocabularies import vocabularies_or_skip

pytestmark = pytest.mark.model
NUM_TOKENS = 24
SAMPLINGS = {
    "greedy": Sampling(temperature=0),
    "hot": Sampling(temperature=1, top_k=0, top_p=1, min_p=0, seed=7),
    "penalties": Sampling(temperature=0.7, repeat_penalty=1.3, dry_multiplier=0.8, seed=7),
    "mirostat": Sampling(temperature=1, mirostat=2, mirostat_tau=3, seed=7),
}


@pytest.fixture(scope="module", params=KVLayout)
def tiny(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LlamaModel]:
    """Of full precision: what else is evaluated beside a token hardly moves its logits."""
    vocabulary = vocabularies_or_skip() / "ggml-vocab-gpt-2.gguf"
    path = tmp_path_factory.mktemp("models") / "tiny.gguf"
    options = LlamaOptions(num_cells=512, max_running=2, num_threads=1, kv_layout=request.param)
    model = LlamaModel(write_tiny_model(path, LLAMA, vocabulary), options)
    yield model
    model.close()


def said(model: LlamaModel, opening: Opening, guess: list[int], errs_at: int) -> list[int]:
    """A reply whose drafts are ``guess``, wrong at every ``errs_at``-th token; 0: none."""
    tokens = model.vocabulary.tokenize("Once upon a time")
    num_prompt = num_cached = len(tokens)
    tokens += model.run(Step([opening], [Chunk(0, 0, tokens, True)]))[0]
    while (at := len(tokens) - num_prompt) < NUM_TOKENS:
        draft = [
            token + ((at + number) % errs_at == 0)
            for number, token in enumerate(guess[at : at + 9 if errs_at else at])
        ]
        chunk = Chunk(0, num_cached, tokens[num_cached:], True, draft=draft)
        sampled = model.run(Step([], [chunk]))[0]
        num_cached += len(chunk.tokens) + chunk.num_accepted(sampled)
        tokens += sampled
    model.run(Step([Release(0)], []))
    return tokens[num_prompt:][:NUM_TOKENS]


@pytest.mark.parametrize("name", SAMPLINGS)
def test_a_reply_takes_the_same_samples_with_drafts_and_without(
    tiny: LlamaModel, name: str
) -> None:
    noted = [Logprobs(2) for _ in range(4)]
    openings = [Opening(0, SAMPLINGS[name], [], logprobs=each) for each in noted]
    plain = said(tiny, openings[0], [], 0)
    for number, errs_at in enumerate((1_000, 5, 1), 1):
        assert said(tiny, openings[number], plain, errs_at) == plain
        tokens = [[token for token, _ in entry] for entry in noted[number].noted]
        assert tokens[:NUM_TOKENS] == [[t for t, _ in entry] for entry in noted[0].noted]


def test_a_grammar_holds_a_reply_with_drafts_as_one_without(tiny: LlamaModel) -> None:
    grammar = 'start: ("red " | "green " | "blue and yellow ")+'
    opening = Opening(0, SAMPLINGS["hot"], [], grammar)
    plain = said(tiny, opening, [], 0)
    assert "blue and yellow" in tiny.detokenize(plain, shows_special=True)
    assert [said(tiny, opening, plain, errs_at) for errs_at in (1_000, 5, 1)] == [plain] * 3


def test_a_draft_ends_with_the_reply(tiny: LlamaModel) -> None:
    (end,) = {token for token in range(tiny.num_tokens) if tiny.is_end(token)}
    opening = Opening(0, Sampling(temperature=0, logit_bias=((end, 100.0),)), [])
    prompt = tiny.vocabulary.tokenize("Once upon a time")
    tiny.run(Step([opening], [Chunk(0, 0, prompt, True)]))
    chunk = Chunk(0, len(prompt), [7], True, draft=[end, end, end])
    assert tiny.run(Step([], [chunk])) == {0: [end]}
    tiny.run(Step([], [Chunk(0, len(prompt) + 1, [end], True)]))
    tiny.run(Step([Release(0)], []))


def test_what_the_real_model_accepts_is_its_own_choice(smollm2: LlamaModel) -> None:
    """Beside another reply, and after a draft that was rejected."""
    prompt = smollm2.encode([ChatMessage("user", "What is the capital of France?")])
    opened = [Opening(slot, SAMPLINGS["greedy"], []) for slot in (0, 1)]
    first = smollm2.run(Step([*opened], [Chunk(slot, 0, prompt, True) for slot in (0, 1)]))
    reply, other = first[0], first[1]
    end = len(prompt)
    for draft in ([reply[0], 700], [700, 700], []):
        chunks = [
            Chunk(0, end + len(reply) - 1, reply[-1:], True, draft=draft),
            Chunk(1, end + len(other) - 1, other[-1:], True),
        ]
        sampled = smollm2.run(Step([], chunks))
        reply, other = reply + sampled[0], other + sampled[1]
    rows = smollm2.run(
        Step([], [Chunk(0, end + len(reply) - 1, reply[-1:], True, draft=other[len(reply) :])])
    )
    smollm2.run(Step([Release(0), Release(1)], []))
    assert regret(locate.locate("smollm2"), prompt, [*reply, *rows[0]]) < TOLERANCE

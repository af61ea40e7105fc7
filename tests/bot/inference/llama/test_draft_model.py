"""A draft model in the real llama.cpp: what it foresees is verified, and it follows the texts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.errors import ModelError
from bot.generation import ChatMessage, Sampling
from bot.inference.core.lanes import Lane
from bot.inference.core.sequence import Arrange, Chunk, DraftRequest, Move, Opening, Release, Step
from bot.inference.llama.draft_model import check_pair
from bot.inference.llama.model import LlamaModel
from bot.inference.llama.options import Attention, KVLayout, LlamaOptions
from bot.inference.model_files import locate
from tests.bot.inference.llama.bare import TOLERANCE, regret
from tests.fakes.tiny_models import LLAMA, MAMBA, write_tiny_model
from tests.vocabularies import vocabularies_or_skip

pytestmark = pytest.mark.model
GREEDY = Sampling(temperature=0)
SIZE = 4
LAYOUTS = {
    "unified": (Attention.FLASH, KVLayout.UNIFIED),
    "streams": (Attention.PLAIN, KVLayout.STREAMS),
}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of full precision: what else is evaluated beside a token hardly moves its logits."""
    folder = tmp_path_factory.mktemp("models")
    return write_tiny_model(folder / "tiny.gguf", LLAMA, vocabulary("gpt-2"))


@pytest.fixture(params=LAYOUTS)
def model(request: pytest.FixtureRequest, path: Path) -> Iterator[LlamaModel]:
    """It is its own draft model."""
    attention, layout = LAYOUTS[request.param]
    model = LlamaModel(
        path,
        LlamaOptions(
            num_cells=2_048, max_running=4, num_threads=1, attention=attention, kv_layout=layout
        ),
    )
    model.draft_with(path)
    yield model
    model.close()


def vocabulary(name: str) -> Path:
    return vocabularies_or_skip() / f"ggml-vocab-{name}.gguf"


class Reply:
    """A sequence of the model, in ``slot``, and the ``requests`` that were answered for it."""

    def __init__(self, model: LlamaModel, number: int, prompt: str | list[int]) -> None:
        self.tokens = model.vocabulary.tokenize(prompt) if isinstance(prompt, str) else prompt[:]
        self.num_prompt, self.num_cached = len(self.tokens), 0
        self.model, self.number, self.slot = model, number, number
        self.requests: list[DraftRequest] = []
        self.num_accepted = 0

    def open(self) -> None:
        chunk = Chunk(self.slot, 0, self.tokens[:], True)
        self.take(chunk, self.model.run(Step([Opening(self.slot, GREEDY, [])], [chunk])))

    def chunk(self, size: int = SIZE) -> Chunk:
        """The next one, with a draft of ``size`` tokens."""
        pending = self.tokens[self.num_cached :]
        if not size:
            return Chunk(self.slot, self.num_cached, pending, True)
        request = DraftRequest(self.number, self.tokens[:], size)
        self.requests.append(request)
        return Chunk(self.slot, self.num_cached, pending, True, False, request.draft, request)

    def take(self, chunk: Chunk, sampled: dict[int, list[int]]) -> None:
        said = sampled[chunk.slot]
        num_accepted = chunk.num_accepted(said)
        self.num_accepted += num_accepted
        self.num_cached += len(chunk.tokens) + num_accepted
        self.tokens += said

    @property
    def said(self) -> list[int]:
        return self.tokens[self.num_prompt :]


def advance(*replies: Reply, size: int = SIZE) -> None:
    """A step of them all."""
    chunks = [reply.chunk(size) for reply in replies]
    sampled = replies[0].model.run(Step([], chunks))
    for reply, chunk in zip(replies, chunks, strict=True):
        reply.take(chunk, sampled)


def close(*replies: Reply) -> None:
    replies[0].model.run(Step([Release(reply.slot) for reply in replies], []))


def plain(model: LlamaModel, prompt: str, num_tokens: int) -> list[int]:
    """What the model says without drafts."""
    reply = Reply(model, 3, prompt)
    reply.open()
    while len(reply.said) < num_tokens:
        advance(reply, size=0)
    close(reply)
    return reply.said


def test_what_the_same_model_foresees_comes_true_for_several_replies(model: LlamaModel) -> None:
    prompts = ["Once upon a time", "The capital of France", "One two three four five"]
    expected = [plain(model, prompt, 40) for prompt in prompts]
    replies = [Reply(model, number, prompt) for number, prompt in enumerate(prompts)]
    for reply in replies:
        reply.open()
    for _ in range(8):
        advance(*replies)
    assert [reply.said[:40] for reply in replies] == expected
    assert all(reply.num_accepted == 8 * SIZE for reply in replies)
    caught_up = [request.num_caught_up for reply in replies for request in reply.requests[1:]]
    assert set(caught_up) == {2}
    assert all(r.seconds > 0 for reply in replies for r in reply.requests)
    close(*replies)


def test_it_follows_a_reply_whose_drafts_are_rejected_and_whose_steps_have_none(
    model: LlamaModel,
) -> None:
    hot = Opening(0, Sampling(temperature=1, top_k=0, top_p=1, min_p=0, seed=7), [])
    reply = Reply(model, 0, "Once upon a time")
    chunk = Chunk(0, 0, reply.tokens[:], True)
    reply.take(chunk, model.run(Step([hot], [chunk])))
    for _ in range(5):
        advance(reply)
        advance(reply, size=0)
    assert reply.num_accepted < 5
    twin = Reply(model, 1, reply.tokens[:])
    twin.open()
    model.run(Step([Opening(0, GREEDY, [])], []))
    advance(reply, twin, size=1)
    assert [r.requests[-1].draft for r in (reply, twin)] == [twin.said[:1]] * 2
    close(reply, twin)


def test_a_long_prompt_is_read_in_pieces_while_others_go_on(model: LlamaModel) -> None:
    long, short = Reply(model, 0, [7, 8, 9] * 100), Reply(model, 1, "Once upon a time")
    for reply in (long, short):
        reply.open()
    for _ in range(40):
        advance(long, short)
        if long.requests[-1].draft:
            break
    *first, last = long.requests
    assert len(first) > 1
    assert all(r.draft == [] and 0 < r.num_evaluated < len(r.tokens) for r in first)
    assert len(last.draft) == SIZE
    assert all(len(request.draft) == SIZE for request in short.requests)
    close(long, short)


def test_the_next_turn_of_a_thread_goes_on_from_the_last_one(model: LlamaModel) -> None:
    first = Reply(model, 0, "Once upon a time there was a king, and the king had a daughter")
    first.open()
    for _ in range(3):
        advance(first)
    close(first)
    again = Reply(model, 1, [*first.tokens, 5, 6, 7])
    again.open()
    advance(again)
    assert again.requests[0].num_caught_up <= 6
    assert len(again.requests[0].draft) == SIZE
    close(again)


def test_it_does_not_care_where_the_model_keeps_a_reply(path: Path) -> None:
    """Its cells are its own: moved, arranged and evaluated again, a text is the same text."""
    attention, layout = LAYOUTS["streams"]
    model = LlamaModel(
        path,
        LlamaOptions(
            num_cells=2_048, max_running=4, num_threads=1, attention=attention, kv_layout=layout
        ),
    )
    model.draft_with(path)
    expected = plain(model, "Once upon a time", 25)
    reply = Reply(model, 0, "Once upon a time")
    reply.open()
    advance(reply)
    for action in (Move(0, 2), Arrange((Lane(256, 2, 1_024),), (Move(2, 257),))):
        model.run(Step([action], []))
        reply.slot = action.target if isinstance(action, Move) else 257
        advance(reply)
    model.run(Step([Release(reply.slot)], []))
    reply.slot, reply.num_cached = 256, 0
    model.run(Step([Opening(256, GREEDY, reply.said)], []))
    advance(reply)
    assert reply.said[:20] == expected[:20]
    assert reply.num_accepted == 4 * SIZE
    assert [request.num_caught_up for request in reply.requests[1:]] == [2] * 3
    model.reset()
    reply.slot, reply.num_cached = 0, 0
    model.run(Step([Opening(0, GREEDY, reply.said)], []))
    advance(reply)
    assert reply.num_accepted == 5 * SIZE
    assert reply.requests[-1].num_caught_up == len(reply.requests[-1].tokens)
    model.close()


def test_the_real_model_foresees_itself(smollm2: LlamaModel) -> None:
    smollm2.draft_with(smollm2.path)
    try:
        prompt = smollm2.encode([ChatMessage("user", "What is the capital of France?")])
        reply = Reply(smollm2, 0, prompt)
        reply.open()
        for _ in range(2):
            advance(reply)
        close(reply)
        assert reply.num_accepted >= SIZE
        assert regret(locate.locate("smollm2"), prompt, reply.said) < TOLERANCE
    finally:
        assert smollm2.draft_model
        smollm2.draft_model.close()
        smollm2.draft_model = None


def test_a_model_with_other_tokens_is_refused() -> None:
    refused = {
        ("phi-3", vocabulary("gpt-2")): "32,064 tokens, not 50,257",
        ("starcoder", locate.locate("smollm2")): "token 1 is another one",
    }
    for (name, large), fault in refused.items():
        with pytest.raises(ModelError) as error:
            check_pair(vocabulary(name), large)
        assert str(error.value) == (
            f"ggml-vocab-{name} has another vocabulary than the model that it should draft for "
            f"({fault}): set PARLEY_DRAFT_MODEL to a smaller model of the same family, or leave "
            "it unset."
        )


def test_a_model_whose_tokens_are_padded_to_another_number_is_not_refused() -> None:
    check_pair(vocabulary("phi-3"), vocabulary("llama-spm"))


def test_models_that_cannot_forget_have_no_draft_model_and_are_none(
    path: Path, tmp_path: Path
) -> None:
    options = LlamaOptions(num_cells=512, max_running=2, num_threads=1)
    mamba = write_tiny_model(tmp_path / "mamba.gguf", MAMBA, vocabulary("gpt-2"))
    for large, draft, fault in (
        (path, mamba, "mamba cannot forget tokens that are not said: set"),
        (mamba, path, "mamba cannot have a draft model, for it cannot forget"),
    ):
        model = LlamaModel(large, options)
        with pytest.raises(ModelError, match=fault):
            model.draft_with(draft)
        assert not model.can_draft
        model.close()

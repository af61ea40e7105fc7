"""The real model, made to reason: two of its control tokens are renamed and forced on it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bot.generation import (
    ChatMessage,
    Delta,
    Finished,
    FinishReason,
    GenerationEvent,
    GenerationRequest,
    Reasoning,
    Sampling,
)
from bot.inference.core.sequence import Opening, Step
from bot.inference.engine.service import InferenceService
from bot.inference.llama.model import LlamaModel
from bot.inference.llama.options import LlamaOptions
from bot.inference.model_files import locate
from bot.metrics import Metrics

pytestmark = pytest.mark.model
_RENAMED = {b"<file_sep>": b"<thinking>", b"<repo_name>": b"</thinking>"}
_THOUGHT, _BEGINNING = "They ask about France.", "The capital of"
_SYSTEM = ChatMessage("system", "You are a helpful assistant and answer in one sentence.")
_QUESTION = ChatMessage("user", "What is the capital of France?")


class ThinkingModel(LlamaModel):
    """Forces the beginning of every reply: reasoning between two tags and a few words."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, LlamaOptions(num_cells=1_024, max_running=1, num_threads=1))
        opens, closes = map(self.token_of, _RENAMED.values())
        thought, beginning = map(self.vocabulary.tokenize, (_THOUGHT, _BEGINNING))
        self.num_reasoning_tokens = len(thought) + 2
        self._begun = [opens, *thought, closes, *beginning]
        self._forced: list[int] = []

    def token_of(self, piece: bytes) -> int:
        return next(token for token in range(100) if self.piece(token) == piece)

    def run(self, step: Step) -> dict[int, list[int]]:
        if any(isinstance(action, Opening) for action in step.actions):
            self._forced = self._begun.copy()
        sampled = super().run(step)
        for slot in sampled:
            if self._forced:
                sampled[slot] = [self._forced.pop(0)]
        return sampled


@pytest.fixture(scope="module")
def thinking_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = locate.locate(locate.EMBEDDED).read_bytes()
    for name, other in _RENAMED.items():
        data = data.replace(name, other, 1)
    path = tmp_path_factory.mktemp("models") / "thinking.gguf"
    path.write_bytes(data)
    return path


async def reply(service: InferenceService, *said: ChatMessage, cap: int) -> list[GenerationEvent]:
    request = GenerationRequest(
        messages=(_SYSTEM, *said),
        person="ada",
        thread="1",
        sampling=Sampling(temperature=0),
        max_tokens=cap,
    )
    return [event async for event in await service.generate(request)]


def text_of(events: list[GenerationEvent], kind: type[Delta] | type[Reasoning]) -> str:
    return "".join(event.text for event in events if isinstance(event, kind))


async def test_reasoning_is_separated_and_dropped_from_the_thread_at_its_next_turn(
    thinking_file: Path,
) -> None:
    model = await asyncio.to_thread(ThinkingModel, thinking_file)
    async with InferenceService(model, Metrics(), max_running=1, max_waiting=2) as service:
        first = await reply(service, _QUESTION, cap=40)
        answer = ChatMessage("assistant", text_of(first, Delta))
        cut = await reply(service, _QUESTION, answer, _QUESTION, cap=4)
    assert text_of(first, Reasoning) == _THOUGHT
    assert answer.content.startswith(_BEGINNING)
    ended = first[-1]
    assert isinstance(ended, Finished)
    assert ended.usage.reasoning_tokens == model.num_reasoning_tokens
    again = cut[-1]
    assert isinstance(again, Finished)
    assert ended.usage.prompt_tokens - 8 <= again.usage.cached_tokens <= ended.usage.prompt_tokens
    assert (text_of(cut, Delta), again.reason) == ("", FinishReason.LENGTH)
    assert _THOUGHT.startswith(text_of(cut, Reasoning).strip() or "?")

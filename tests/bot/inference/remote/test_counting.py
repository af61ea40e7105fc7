"""Token counts of prompts for remote servers: rather too high than too low."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bot.generation import ChatMessage
from bot.inference.llama.model import LlamaModel
from bot.inference.remote.counting import TokenCounter, estimate

ROOT = Path(__file__).parents[4]
TEXTS = {
    "prose": (ROOT / "README.md").read_text(encoding="utf-8"),
    "code": (ROOT / "bot" / "prompt.py").read_text(encoding="utf-8"),
    "french": (ROOT / "personalities" / "assistant-fr.md").read_text(encoding="utf-8"),
    "numbers": "\n".join(f"{n}: {n * 7919}, {n / 7:.9f}" for n in range(200)),
    "russian": "Мы просили его рассказать, как было дело. " * 20,
    "chinese": "我们请他告诉我们事情是怎么发生的。" * 20,
    "emoji": "🦙🇫🇷👩‍💻 " * 20,
    "blanks": "a\n\n\n    b\t\tc   d\n" * 30,
    "nothing": "",
}


def messages(*texts: str) -> list[ChatMessage]:
    return [ChatMessage("user", text) for text in texts]


@pytest.mark.model
@pytest.mark.parametrize("kind", TEXTS)
def test_an_estimate_is_not_below_what_the_real_tokenizer_counts(
    smollm2: LlamaModel, kind: str
) -> None:
    exact = len(smollm2.encode(messages(TEXTS[kind])))
    counter = TokenCounter(nobody_counts)
    estimated = asyncio.run(counter.count(messages(TEXTS[kind])))
    assert exact <= estimated
    if kind == "prose":
        assert estimated < 2 * exact, "on the safe side, and yet of use"


async def nobody_counts(_text: str) -> int | None:
    return None


class Words:
    """A tokenizer whose tokens are words."""

    def __init__(self) -> None:
        self.num_asked = 0
        self.is_there = True

    async def __call__(self, text: str) -> int | None:
        self.num_asked += 1
        return len(text.split()) if self.is_there else None


async def test_a_thread_that_grows_costs_one_count_a_message() -> None:
    words = Words()
    counter = TokenCounter(words)
    assert await counter.count(messages("a b c")) == 3 + 8 + 32
    assert await counter.count(messages("a b c", "d e")) == 5 + 16 + 32
    assert words.num_asked == 2


async def test_an_estimated_text_is_counted_as_soon_as_the_server_can_again() -> None:
    words = Words()
    counter = TokenCounter(words)
    words.is_there = False
    text = "supercalifragilistic " * 9
    assert await counter.count(messages(text)) == estimate(text) + 8 + 32
    words.is_there = True
    assert await counter.count(messages(text)) == 9 + 8 + 32


async def test_a_count_that_was_too_low_is_not_so_the_next_time() -> None:
    counter = TokenCounter(Words())
    thought = await counter.count(messages("a b c"))
    await counter.learn(messages("a b c"), 2 * thought)
    assert await counter.count(messages("a b c")) == 2 * thought
    await counter.learn(messages("a b c"), 1)
    assert await counter.count(messages("a b c")) == 2 * thought, "the safe side is kept"
    await counter.learn(messages("a b c"), None)
    assert await counter.count(messages("a b c")) > 2 * thought


async def test_no_number_of_complaints_makes_everything_too_long() -> None:
    counter = TokenCounter(Words())
    for _ in range(100):
        await counter.learn(messages("a b c"), None)
    assert await counter.count(messages("a b c")) <= 4 * 43

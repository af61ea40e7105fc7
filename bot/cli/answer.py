"""One answer, printed as it grows or as one JSON object."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from bot.cli.ask import Answerer
from bot.errors import EngineFailed, OverLimit, QueueFull
from bot.generation import (
    CompletionRequest,
    Delta,
    Finished,
    FinishReason,
    GenerationEvent,
    Progress,
    Reasoning,
)
from bot.prompt import clean

NO_ANSWER = "The model gave no answer; ask again, or for something smaller."
_MAX_TRIES = 100
_DIM, _PLAIN = "\x1b[2m", "\x1b[0m"
_CUT_OFF = "(Cut off at its longest; PARLEY_MAX_TOKENS allows longer ones.)"


@dataclass(slots=True)
class GrownAnswer:
    """What has come of one answer."""

    texts: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    finished: Finished = field(default_factory=lambda: Finished(FinishReason.CANCELLED))

    def take(self, event: GenerationEvent) -> None:
        match event:
            case Delta():
                self.texts.append(clean(event.text))
            case Reasoning():
                self.thoughts.append(clean(event.text))
            case Finished():
                self.finished = event

    @property
    def text(self) -> str:
        return "".join(self.texts)

    def record(self, model: str) -> dict[str, Any]:
        """For programs. Raises ``EngineFailed`` if there is no text."""
        if not self.text.strip():
            raise EngineFailed(NO_ANSWER)
        usage = self.finished.usage
        return {
            "text": self.text,
            "reasoning": "".join(self.thoughts),
            "model": model,
            "usage": {
                "prompt_tokens": usage.prompt_tokens,
                "cached_tokens": usage.cached_tokens,
                "completion_tokens": usage.completion_tokens,
                "reasoning_tokens": usage.reasoning_tokens,
            },
            "finish_reason": str(self.finished.reason),
        }


async def whole(answerer: Answerer, asked: CompletionRequest) -> GrownAnswer:
    answer = GrownAnswer()
    async with aclosing(answerer.ask(asked)) as events:
        async for event in events:
            answer.take(event)
    return answer


async def patiently(answerer: Answerer, asked: CompletionRequest) -> GrownAnswer:
    """The whole answer. Where too many ask at once, this is the one that waits."""
    for _ in range(_MAX_TRIES):
        try:
            return await whole(answerer, asked)
        except (OverLimit, QueueFull) as limit:
            refusal = limit
            await asyncio.sleep(limit.retry_after)
    raise refusal


async def print_json(answerer: Answerer, asked: CompletionRequest) -> None:
    model = await answerer.model_of(asked.personality or "")
    answer = await whole(answerer, asked)
    sys.stdout.write(f"{json.dumps(answer.record(model), ensure_ascii=False)}\n")


async def print_growing(
    answerer: Answerer, asked: CompletionRequest, *, shows_reasoning: bool
) -> None:
    """Text to stdout, reasoning to stderr; both end their line, even after an error.

    Raises ``EngineFailed`` if there is no text.
    """
    text, thoughts = _Output(), _Thoughts(shows_reasoning)
    answer = GrownAnswer()
    try:
        async with aclosing(answerer.ask(asked)) as events:
            async for event in events:
                answer.take(event)
                if isinstance(event, Progress):
                    _tell(clean(event.text))
                elif isinstance(event, Reasoning):
                    thoughts.write(clean(event.text))
                elif isinstance(event, Delta):
                    thoughts.end()
                    text.write(clean(event.text))
    finally:
        thoughts.end()
        text.end()
    if not answer.text.strip():
        raise EngineFailed(NO_ANSWER)
    if answer.finished.reason is FinishReason.LENGTH and sys.stderr.isatty():
        sys.stderr.write(f"{_DIM}{_CUT_OFF}{_PLAIN}\n")


def _tell(text: str) -> None:
    """What is done before the answer, to a person who waits for it."""
    if sys.stderr.isatty():
        sys.stderr.write(f"{_DIM}{text[:1].upper()}{text[1:]}…{_PLAIN}\n")
        sys.stderr.flush()


class _Output:
    """What is written is seen at once."""

    def __init__(self) -> None:
        self._has_begun = False

    def write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()
        self._has_begun = self._has_begun or bool(text)

    def end(self) -> None:
        if self._has_begun:
            self.write("\n")
            self._has_begun = False


class _Thoughts:
    """Dim where a person reads them."""

    def __init__(self, is_shown: bool) -> None:
        self._is_shown = is_shown
        self._has_begun = False
        self._is_dim = sys.stderr.isatty()

    def write(self, text: str) -> None:
        if self._is_shown:
            sys.stderr.write(f"{_DIM}{text}{_PLAIN}" if self._is_dim else text)
            sys.stderr.flush()
            self._has_begun = True

    def end(self) -> None:
        if self._has_begun:
            sys.stderr.write("\n")
            self._has_begun = False

"""What a generation has said, and how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from bot.errors import EngineFailed
from bot.generation import (
    Delta,
    Finished,
    FinishReason,
    GenerationEvent,
    Reasoning,
    TokenLogprob,
    ToolCallDelta,
    Usage,
)
from bot.ports import Generation

STOPPING = "Parley is stopping; please ask again in a moment."
NOT_FINISHED = Finished(FinishReason.ERROR, detail="The engine ended without a reply.")


@dataclass(frozen=True, slots=True)
class GeneratedText:
    """Text, reasoning and calls of a reply, or of a piece of it."""

    text: str = ""
    reasoning: str = ""
    logprobs: tuple[TokenLogprob, ...] = ()
    calls: tuple[ToolCallDelta, ...] = ()


@dataclass(frozen=True, slots=True)
class WholeAnswer:
    """A reply that has ended."""

    said: GeneratedText
    reason: FinishReason
    usage: Usage


async def whole_answer(generation: Generation) -> WholeAnswer:
    """Read to the end; raises ``EngineFailed`` where the engine ends without an answer."""
    events = [event async for event in generation]
    finished = finished_of(events) or NOT_FINISHED
    raise_failure(finished)
    return WholeAnswer(said(events), finished.reason, finished.usage)


def said(events: Sequence[GenerationEvent]) -> GeneratedText:
    deltas = [event for event in events if isinstance(event, Delta)]
    text = "".join(delta.text for delta in deltas)
    logprobs = tuple(chain.from_iterable(delta.logprobs for delta in deltas))
    reasoning = "".join(event.text for event in events if isinstance(event, Reasoning))
    calls = tuple(event for event in events if isinstance(event, ToolCallDelta))
    return GeneratedText(text, reasoning, logprobs, calls)


def finished_of(events: Sequence[GenerationEvent]) -> Finished | None:
    last = events[-1] if events else None
    return last if isinstance(last, Finished) else None


def raise_failure(finished: Finished) -> None:
    """Raises ``EngineFailed`` if there is no answer."""
    if finished.reason is FinishReason.ERROR:
        raise EngineFailed(finished.detail or "The engine failed under this reply.")
    if finished.reason is FinishReason.CANCELLED:  # not by the client, who would be gone
        raise EngineFailed(finished.detail or STOPPING)

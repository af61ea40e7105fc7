"""How a turn ends: what is kept of the reply, and what the person sees."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bot.markup import complete
from bot.types import Finished, FinishReason, TurnState, Usage

_SENTENCE_END = re.compile(r"\n|[.!?。！？][\"'”’)*_]*(?=\s|$)")

RETRY = "Say `retry` to try again."


@dataclass(frozen=True, slots=True)
class Ending:
    """``reply`` is what later prompts see; ``shown`` is that with a note for the person."""

    state: TurnState
    reply: str
    shown: str
    reason: FinishReason | None = None
    usage: Usage = Usage()


STOPPED = Ending(TurnState.STOPPED, "", "Stopped.", FinishReason.CANCELLED)

INTERRUPTED = Ending(
    TurnState.INTERRUPTED,
    "",
    f"I was interrupted before I could answer this. {RETRY}",
)

TRIED_TWICE = Ending(
    TurnState.FAILED,
    "",
    "I was interrupted twice while answering this, so I did not begin a third time. " + RETRY,
    FinishReason.ERROR,
)

_NOTES = {
    FinishReason.CANCELLED: "_(stopped)_",
    FinishReason.LENGTH: "_(cut off at the length limit; ask me to go on for more)_",
    FinishReason.LOOPED: "_(ended here, since the reply only repeated itself)_",
}


def failed(sentence: str, text: str = "", usage: Usage = Usage()) -> Ending:
    """What was shown so far stays; the sentence says what happened and what to do."""
    return Ending(TurnState.FAILED, text, _noted(text, sentence), FinishReason.ERROR, usage)


_ONLY_THOUGHT = {
    FinishReason.STOP: "I thought about this and came to no answer.",
    FinishReason.LENGTH: (
        "I was still thinking when I reached the length limit, so there is no answer; "
        "something smaller may fit."
    ),
    FinishReason.LOOPED: "My thinking went round in circles, so there is no answer.",
}


def ending_of(text: str, finished: Finished, *, stopped: bool, has_thought: bool = False) -> Ending:
    """The ending of a generation that gave ``text``; ``stopped`` if a person wanted it.

    ``has_thought``: the model thought aloud before, which is no part of the text.
    """
    if finished.reason is FinishReason.CANCELLED and not stopped:
        return failed(f"The reply was cut off. {RETRY}", text, finished.usage)
    if finished.reason is FinishReason.ERROR:
        sentence = finished.detail or "The model failed while answering."
        return failed(f"{sentence} {RETRY}", text, finished.usage)
    if finished.reason is FinishReason.CANCELLED:
        return _stopped(text, finished.usage)
    text = _said_once(text, finished.num_repeated)
    if not text.strip():
        return failed(_no_answer(finished.reason, has_thought=has_thought), "", finished.usage)
    shown = _noted(text, _NOTES.get(finished.reason, ""))
    return Ending(TurnState.DONE, text, shown, finished.reason, finished.usage)


def _stopped(text: str, usage: Usage) -> Ending:
    if not text.strip():
        return Ending(TurnState.STOPPED, "", STOPPED.shown, FinishReason.CANCELLED, usage)
    shown = _noted(text, _NOTES[FinishReason.CANCELLED])
    return Ending(TurnState.STOPPED, text, shown, FinishReason.CANCELLED, usage)


def _no_answer(reason: FinishReason, *, has_thought: bool) -> str:
    why = _ONLY_THOUGHT.get(reason) if has_thought else None
    return f"{why or 'The model had nothing to say.'} {RETRY}"


def _said_once(text: str, num_repeated: int) -> str:
    """Without what only repeats, up to the end of the sentence or line that it breaks into."""
    if num_repeated == 0:
        return text
    start = max(0, len(text) - num_repeated)
    end = _SENTENCE_END.search(text, start)
    return text[: end.end() if end else start]


def _noted(text: str, note: str) -> str:
    """A note stands in a paragraph of its own, outside of a code block left open."""
    if not (text.strip() and note):
        return text if text.strip() else note
    return f"{complete(text.rstrip())}\n\n{note}"

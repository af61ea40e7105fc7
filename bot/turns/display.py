"""The text that people see of a turn: its place in line, its growing reply, and its end."""

from __future__ import annotations

import asyncio
import logging
import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

from bot.capabilities import Capabilities
from bot.citations import credit
from bot.errors import PlatformError, refusal_for_people
from bot.generation import Finished, FinishReason, Usage
from bot.markdown.layout import Layout
from bot.markdown.parser import completed
from bot.ports import Adapter
from bot.source import Source
from bot.stored import Turn, TurnState, can_continue
from bot.turns.services import Services
from bot.types import Label, Place, ReplyEnd

logger = logging.getLogger(__name__)

THINKING = "Thinking…"
FILE_NAME = "answer.md"
NOTE = "_(the whole answer is in the file below)_"
_TYPING_SECONDS = 8.0
"""Platforms show "is typing" for about ten seconds."""

_NUM_LAST = 200
"""Characters of the newest thought that show while a folded reasoning grows."""

_SENTENCE_END = re.compile(r"\n|[.!?。！？][\"'”’)*_]*(?=\s|$)")

RETRY = "Say `retry` to try again."
AGAIN = "Please try again."
GO_ON = "Say `continue` to go on."


@dataclass(frozen=True, slots=True)
class Ending:
    """``reply`` is what later prompts see; ``shown`` is that with a note for the person.

    ``note``: that note for those who see it beside the reply, with buttons for what to do.
    ``above``: what is shown above the reply and is no part of it.
    """

    state: TurnState
    reply: str
    shown: str
    reason: FinishReason | None = None
    usage: Usage = Usage()
    note: str = ""
    above: str = ""

    @property
    def can_continue(self) -> bool:
        return can_continue(self.state, self.reason, self.reply)


STOPPED = Ending(TurnState.STOPPED, "", "Stopped.", FinishReason.CANCELLED, note="Stopped.")

_INTERRUPTED = "I was interrupted before I could answer this."
INTERRUPTED = Ending(
    TurnState.INTERRUPTED, "", f"{_INTERRUPTED} {RETRY}", note=f"{_INTERRUPTED} {AGAIN}"
)

_TWICE = "I was interrupted twice while answering this, so I did not begin a third time."
TRIED_TWICE = Ending(
    TurnState.FAILED, "", f"{_TWICE} {RETRY}", FinishReason.ERROR, note=f"{_TWICE} {AGAIN}"
)

_NOTES = {
    FinishReason.CANCELLED: "_(stopped)_",
    FinishReason.LENGTH: "_(cut off at the length limit; say “continue” for more)_",
    FinishReason.LOOPED: "_(ended here, since the reply only repeated itself)_",
}


_BESIDE = {
    FinishReason.CANCELLED: STOPPED.note,
    FinishReason.LENGTH: "This was cut off at the length limit.",
    FinishReason.LOOPED: "This ended here, since it only repeated itself.",
}


def failed(
    sentence: str, text: str = "", usage: Usage = Usage(), *, may_retry: bool = True
) -> Ending:
    """The text shown so far stays; the sentence says what happened, and what to do.

    ``may_retry``: trying again may help.
    """
    shown = note = sentence
    if may_retry:
        shown, note = f"{sentence} {GO_ON if text.strip() else RETRY}", f"{sentence} {AGAIN}"
    return Ending(TurnState.FAILED, text, noted(text, shown), FinishReason.ERROR, usage, note=note)


def undelivered(error: PlatformError, usage: Usage) -> Ending:
    """Of a reply that the platform did not show: what people saw in its place, if anything.

    It has no reason: it was not the model that failed.
    """
    sentence = refusal_for_people(error)
    return Ending(TurnState.FAILED, sentence, sentence, usage=usage)


_ENDED_AS = {FinishReason.LENGTH: TurnState.DONE, FinishReason.ERROR: TurnState.FAILED}


def longer(turn: Turn, ending: Ending) -> Ending:
    """The ending of a turn whose reply was to go on, if so: no failure takes anything of it away.

    What was to go on may not have begun to, or was not delivered.
    """
    if not turn.reply:
        return ending
    said = turn.usage.completion_tokens + ending.usage.completion_tokens
    ending = replace(ending, usage=replace(turn.usage, completion_tokens=said))
    if not ending.reply.startswith(turn.reply):
        why = ending.reason and _NOTES.get(ending.reason)
        shown = under(turn.above, noted(turn.reply, why or ending.shown.replace(RETRY, GO_ON)))
        ending = replace(ending, reply=turn.reply, shown=shown, above=turn.above)
    if ending.state in (TurnState.FAILED, TurnState.INTERRUPTED):
        before = turn.finish_reason or FinishReason.CANCELLED
        ending = replace(ending, state=_ENDED_AS.get(before, TurnState.STOPPED), reason=before)
    return ending


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
        return failed("The reply was cut off.", text, finished.usage)
    if finished.reason is FinishReason.ERROR:
        sentence = finished.detail or "The model failed while answering."
        return failed(sentence, text, finished.usage)
    if finished.reason is FinishReason.CANCELLED:
        return _stopped(text, finished.usage)
    if finished.num_repeated:
        text = _without_repetition(text, finished.num_repeated)
    if not text.strip():
        return failed(_no_answer(finished.reason, has_thought=has_thought), "", finished.usage)
    shown = noted(text, _NOTES.get(finished.reason, ""))
    note = _BESIDE.get(finished.reason, "")
    return Ending(TurnState.DONE, text, shown, finished.reason, finished.usage, note)


def _stopped(text: str, usage: Usage) -> Ending:
    if not text.strip():
        return replace(STOPPED, usage=usage)
    shown = noted(text, _NOTES[FinishReason.CANCELLED])
    return replace(STOPPED, reply=text, shown=shown, usage=usage)


def cut_short(adapter: Adapter, whole: Ending, num_messages: int) -> Ending:
    """Of an answer that was stopped while its last messages were still to come: what is shown.

    It takes as long as laying out the answer some times.
    """
    layout = Layout(adapter.drawing, adapter.limits.max_size)

    def stopped(above: str, reply: str) -> Ending:
        ending = _stopped(reply, whole.usage)
        return replace(ending, shown=under(above, ending.shown), above=above)

    def longest(text: str, ending: Callable[[str], Ending]) -> Ending:
        ends = [0, *(word.end() for word in re.finditer(r"\S+", text))]

        def is_too_long(end: int) -> bool:
            return len(layout.parts(ending(text[:end]).shown)) > num_messages

        num_fitting = bisect_left(ends, True, key=is_too_long)
        return ending(text[: ends[max(num_fitting, 1) - 1]])

    cut = longest(whole.reply, partial(stopped, whole.above))
    return cut if cut.reply else longest(whole.above, lambda above: stopped(above, ""))


def _no_answer(reason: FinishReason, *, has_thought: bool) -> str:
    why = _ONLY_THOUGHT.get(reason) if has_thought else None
    return why or "The model had nothing to say."


def _without_repetition(text: str, num_repeated: int) -> str:
    """The text without its repetitions, up to the end of the sentence or line they begin in."""
    start = max(0, len(text) - num_repeated)
    end = _SENTENCE_END.search(text, start)
    return text[: end.end() if end else start]


def noted(text: str, note: str) -> str:
    """A note stands in a paragraph of its own, outside of a code block left open."""
    if not (text.strip() and note):
        return text if text.strip() else note
    return f"{completed(text.rstrip())}\n\n{note}"


def credited(ending: Ending, sources: Sequence[Source]) -> Ending:
    """With what it was made from named below it."""
    return replace(ending, shown=noted(ending.shown, credit(sources)))


@dataclass(slots=True)
class Draft:
    """A reply that grows: the answer, and above it what the model thought aloud.

    ``shows``: how much of the reasoning the personality shows. None of it enters a later prompt.
    ``before``: what stands above an answer that goes on.
    """

    shows: Literal["hidden", "shown", "folded"]
    thoughts: list[str] = field(default_factory=list)
    answer: str = ""
    before: str = ""

    def think(self, text: str) -> None:
        self.thoughts.append(text)

    def say(self, text: str) -> None:
        self.answer += text

    @property
    def shown(self) -> str:
        return under(self._above(bool(self.answer)), self.answer)

    def end(self, finished: Finished, *, stopped: bool) -> Ending:
        has_thought = bool(self.thoughts)
        ending = ending_of(self.answer, finished, stopped=stopped, has_thought=has_thought)
        return self._under_thoughts(ending)

    def fail(self, sentence: str) -> Ending:
        return self._under_thoughts(failed(sentence, self.answer))

    def _under_thoughts(self, ending: Ending) -> Ending:
        above = self._above(is_over=True)
        return replace(ending, shown=under(above, ending.shown), above=above)

    def _above(self, is_over: bool) -> str:
        """``is_over``: it thinks no more, so the thoughts can be folded."""
        thoughts = "".join(self.thoughts).strip() if self.shows != "hidden" else ""
        if not thoughts:
            return self.before
        is_folded = self.shows == "folded"
        if is_folded and is_over:
            above = f"> _Thought about it in {_num_words(thoughts)}._"
        else:
            above = _quote(_last_words(thoughts) if is_folded else thoughts)
        return under(self.before, above)


def under(above: str, markdown: str) -> str:
    return "\n\n".join(each for each in (above, markdown) if each)


def _num_words(text: str) -> str:
    number = len(text.split())
    return f"{number:,} words" if number != 1 else "one word"


def _last_words(text: str) -> str:
    """The end of the newest paragraph, from the beginning of a word."""
    newest = text.rpartition("\n\n")[2]
    if len(newest) <= _NUM_LAST:
        return newest
    return f"… {newest[-_NUM_LAST:].partition(' ')[2]}"


def _quote(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in completed(text).split("\n"))


def in_line(place: int, wait: float | None = None) -> str:
    """``You are 3rd in line, about 20 s…``"""
    who = "You are next in line" if place == 1 else f"You are {ordinal(place)} in line"
    if wait is None:
        return f"{who}…"
    return f"{who}, about {_rounded(wait)}…"


def in_thread(num_ahead: int) -> str:
    """While earlier questions of the same thread are answered."""
    if num_ahead == 1:
        return "Next in this thread…"
    return f"{ordinal(num_ahead)} in line in this thread…"


def ordinal(number: int) -> str:
    last = number % 10 if number % 100 not in (11, 12, 13) else 0
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(last, 'th') }"


def _rounded(seconds: float) -> str:
    """Coarse, so that an estimate that wavers does not move the message."""
    if seconds < 90:
        step = 1 if seconds < 5 else 5
        return f"{max(1, round(seconds / step) * step)} s"
    return f"{round(seconds / 60)} min"


@dataclass(slots=True)
class TypingIndicator:
    """Shows "is typing" in a thread while a turn waits."""

    _services: Services
    _place: Place
    _task: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._type())

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _type(self) -> None:
        adapter = self._services.adapters[self._place.adapter]
        budget = self._services.budgets[self._place.adapter]
        try:
            while True:
                async with budget.call("typing", self._place):
                    await adapter.typing(self._place)
                await self._services.clock.sleep(_TYPING_SECONDS)
        except PlatformError:
            return


def beginning(adapter: Adapter, markdown: str) -> str | None:
    """The text of the message if a file holds the whole answer; else None."""
    ends_as_file = Capabilities.of(adapter).ends_as_file
    if ends_as_file is None or not ends_as_file.file_above:
        return None
    size = adapter.limits.max_size
    if len(Layout(adapter.drawing, size).parts(markdown)) <= ends_as_file.file_above:
        return None

    def with_note(text: str) -> str:
        return f"{completed(text.rstrip())}\n\n{NOTE}"

    def fits(text: str) -> bool:
        return adapter.drawing.size(adapter.render(with_note(text))) <= size

    for separator in ("\n", " ", ""):
        ends = [n for n in range(1, 2 * size) if markdown.startswith(separator, n)]
        num_fitting = bisect_left(ends, True, key=lambda end: not fits(markdown[:end]))
        if num_fitting:
            return with_note(markdown[: ends[num_fitting - 1]])
    return None


async def post_file(
    adapter: Adapter, place: Place, markdown: str, label: Label, end: ReplyEnd
) -> str | None:
    """The id of its message; None where it cannot be posted."""
    ends_as_file = Capabilities.of(adapter).ends_as_file
    if ends_as_file is None:
        return None
    try:
        return await ends_as_file.post_file(place, FILE_NAME, markdown.encode(), label, end)
    except PlatformError as error:
        logger.warning("a long answer could not be attached: %s", error)
        return None

"""Personality and history become messages that fit the window.

The messages of a turn are settled when it is asked and never change afterwards, so the
prompt of the next turn begins with those of this one and reuses its KV cells.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bot.citations import with_sources
from bot.errors import EngineFailed, PersonalityError, PromptTooLong
from bot.generation import ChatMessage
from bot.ports import TextGenerator, generator_of
from bot.quoted_answers import task_of
from bot.stored import Turn, TurnState
from bot.types import Personality

MIN_REPLY_TOKENS = 64
"""The least room for a reply, unless its cap or half of the window is lower."""

_LEAST_QUESTION_TOKENS = 64

_MAX_TOKEN_LENGTH = 16
"""Characters, on average over a window; of text it is 4."""
_MARGIN_TOKENS = 256
"""The most that the next question is expected to need."""

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SURROGATES = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Prompt:
    """``num_tokens + max_tokens <= window``; ``first_number`` is the oldest turn in it."""

    messages: tuple[ChatMessage, ...]
    num_tokens: int
    first_number: int
    max_tokens: int


def clean(text: str) -> str:
    """Text fit for a tokenizer: no control characters, valid Unicode, plain line ends.

    Everything else stays byte for byte. So do typed role markers: the engine encodes them as
    text.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return _SURROGATES.sub("\ufffd", _CONTROLS.sub("", lines))


def opening(personality: Personality) -> tuple[ChatMessage, ...]:
    """The messages with which every prompt of the personality begins."""
    said = (
        message
        for each in personality.examples
        for message in (ChatMessage("user", each.question), ChatMessage("assistant", each.answer))
    )
    return (ChatMessage("system", clean(_prompt(personality))), *said)


def _prompt(personality: Personality) -> str:
    if personality.answers == "quoted":
        return f"{personality.prompt}\n\n{task_of(personality)}"
    return personality.prompt


async def build(
    generator: TextGenerator,
    personality: Personality,
    earlier: Sequence[Turn],
    question: Turn,
    *,
    max_tokens: int,
    begun: str = "",
) -> Prompt:
    """The opening, as many whole turns of ``earlier`` as fit (the newest ones), question.

    ``begun``: the reply continues this text.

    ``earlier`` may hold the whole thread: turns that are not older than the question are
    left out.
    Raises ``PromptTooLong`` if the question does not fit even alone.
    """
    turns = [turn for turn in earlier if turn.number < question.number]
    thread = _Thread(generator, personality, turns, question, begun)
    limit = generator.window - _reply_share(generator.window, max_tokens)
    start, num_tokens = await thread.longest_tail(limit)
    room = generator.window - num_tokens
    if room < _least_reply(generator.window, max_tokens):
        raise await _too_long(generator, personality, num_tokens, max_tokens)
    return Prompt(thread.messages(start), num_tokens, thread.number(start), min(max_tokens, room))


async def trim(
    generator: TextGenerator,
    personality: Personality,
    turns: Sequence[Turn],
    *,
    max_tokens: int,
) -> int | None:
    """The number of the first turn to keep if the next prompt would likely overflow.

    One big step, down to about 60 % of the window, so that the prefix then stays the same
    for many turns. The newest turn is always kept. None: leave the thread as it is.
    """
    window = generator.window
    limit = window - _reply_share(window, max_tokens) - min(_MARGIN_TOKENS, window // 8)
    thread = _Thread(generator, personality, turns)
    if thread.num_turns < 2:
        return None
    if thread.may_fit_from(limit) == 0 and await thread.count(0) <= limit:
        return None
    target = min(window * 6 // 10, limit * 3 // 4)
    start, _ = await thread.longest_tail(target)
    return thread.number(min(start, thread.num_turns - 1))


async def shortened(
    generator: TextGenerator,
    messages: Sequence[ChatMessage],
    *,
    num_first: int,
    max_tokens: int,
) -> tuple[ChatMessage, ...]:
    """The messages of a program's thread without its oldest turns, so that a reply has room.

    The first ``num_first`` stay, with which a personality begins, and so do system messages
    wherever they stand, and the last question and what follows it. The program sends the thread
    anew each time, longer by a turn. So the first turn that stays is told from what is before it:
    it is the same for many requests, and so is the prefix.
    """
    limit = generator.window - _reply_share(generator.window, max_tokens)
    starts = _starts(messages, num_first, limit)
    low, high = 0, len(starts) - 1
    while low < high:
        middle = (low + high) // 2
        if await generator.count(_from(messages, num_first, starts[middle])) <= limit:
            high = middle
        else:
            low = middle + 1
    return _from(messages, num_first, starts[low])


def leaves_room(num_tokens: int, window: int, max_tokens: int) -> bool:
    """For a reply worth its name, of at most ``max_tokens``."""
    return window - num_tokens >= _least_reply(window, max_tokens)


def told(personality: Personality, turns: Sequence[Turn]) -> tuple[ChatMessage, ...]:
    """The messages with which the next prompt of a thread begins, whatever is asked."""
    exchanges = _exchanges(turns, None)
    return (*opening(personality), *(m for each in exchanges for m in each.messages()))


def given(personality: Personality, turns: Iterable[Turn]) -> Iterator[str]:
    """All that the model is told in a thread, but for what it said itself."""
    yield personality.prompt
    for example in personality.examples:
        yield example.question
        yield example.answer
    for turn in turns:
        yield turn.text
        yield from (text for _, text in turn.remarks)
        yield from (text for file in turn.files for text in (file.address, file.excerpt))


async def check_prompts(
    generator: TextGenerator,
    personalities: Sequence[Personality],
    *,
    folder: Path,
    max_tokens: int,
) -> None:
    """Raise ``PersonalityError`` for system prompts that leave no room to talk, all at once."""
    problems = []
    for each in personalities:
        try:
            own = await generator_of(generator, each.model)
        except EngineFailed as error:
            problems.append(f"{folder / each.name}.md: {error}")
            continue
        problems += await _too_long_to_talk(own, each, folder / f"{each.name}.md", max_tokens)
    if problems:
        raise PersonalityError("\n".join(problems))


async def _too_long_to_talk(
    generator: TextGenerator, personality: Personality, path: Path, max_tokens: int
) -> list[str]:
    window = generator.window
    room = window - _least_reply(window, max_tokens) - _LEAST_QUESTION_TOKENS
    num_tokens = await _fixed_tokens(generator, personality)
    if num_tokens <= room:
        return []
    return [
        f"{path}: the prompt takes {num_tokens:,} of the model's {window:,} tokens, and at most "
        f"{max(0, room):,} leave room to talk; shorten it, or raise PARLEY_CONTEXT."
    ]


def _starts(messages: Sequence[ChatMessage], first: int, num_bytes: int) -> list[int]:
    """Where a thread that begins at ``first`` may begin instead: at one question in each further
    ``num_bytes`` of text, and at the last.

    A token has one byte at least, so that is never more than what fits.
    """
    starts, num_before, block = [first], 0, 0
    asked = (i for i, each in enumerate(messages) if i >= first and each.role == "user")
    last = max(asked, default=first)
    for number, message in enumerate(messages[first:last], first):
        if message.role == "user" and num_before // num_bytes > block:
            block = num_before // num_bytes
            starts.append(number)
        if message.role != "system":
            num_before += len(message.content.encode("utf-8", "replace"))
    return [*starts, last]


def _from(messages: Sequence[ChatMessage], first: int, start: int) -> tuple[ChatMessage, ...]:
    kept = (m for m in messages[first:start] if m.role == "system")
    return (*messages[:first], *kept, *messages[start:])


def _reply_share(window: int, max_tokens: int) -> int:
    """The tokens that history leaves for the reply: its cap, at most half of the window."""
    return min(max_tokens, window // 2)


def _least_reply(window: int, max_tokens: int) -> int:
    return min(MIN_REPLY_TOKENS, _reply_share(window, max_tokens))


async def _too_long(
    generator: TextGenerator, personality: Personality, num_tokens: int, max_tokens: int
) -> PromptTooLong:
    """The error in tokens of the question itself: as written, and as many as may be written."""
    fixed = await _fixed_tokens(generator, personality)
    room = generator.window - _least_reply(generator.window, max_tokens) - fixed
    return PromptTooLong(num_tokens - fixed, max(0, room))


async def _fixed_tokens(generator: TextGenerator, personality: Personality) -> int:
    """The tokens in every prompt of this personality: its opening, and the template's marks."""
    return await generator.count((*opening(personality), ChatMessage("user", "")))


class _Thread:
    """A thread's messages from any of its turns on, and how many tokens they are.

    ``start`` counts turns, and beyond the last of them remarks before the question: so a
    short question after long chatter is still answered.
    """

    def __init__(
        self,
        generator: TextGenerator,
        personality: Personality,
        turns: Sequence[Turn],
        question: Turn | None = None,
        begun: str = "",
    ) -> None:
        self._begun = (ChatMessage("assistant", begun, is_open=True),) if begun else ()
        self._generator = generator
        self._opening = opening(personality)
        self._exchanges = _exchanges(turns, question)
        self.num_turns = len(self._exchanges) - (question is not None)
        self._last_start = self.num_turns
        if question:
            self._last_start += len(self._exchanges[-1].lines) - 1

    def number(self, start: int) -> int:
        return self._exchanges[min(start, self.num_turns)].number

    def messages(self, start: int) -> tuple[ChatMessage, ...]:
        num_skipped = max(0, start - self.num_turns)
        exchanges = self._exchanges[start - num_skipped :]
        said = (m for each in exchanges for m in each.messages(num_skipped))
        return (*self._opening, *said, *self._begun)

    async def count(self, start: int) -> int:
        return await self._generator.count(self.messages(start))

    def may_fit_from(self, max_tokens: int) -> int:
        """What is before that turn is too long at sight: a thread may have millions of tokens."""
        room = max_tokens * _MAX_TOKEN_LENGTH
        for start in reversed(range(self.num_turns)):
            room -= sum(len(each.content) for each in self._exchanges[start].messages())
            if room < 0:
                return start + 1
        return 0

    async def longest_tail(self, max_tokens: int) -> tuple[int, int]:
        """Where the longest tail within ``max_tokens`` starts, and its tokens.

        If there is none: the shortest. All that may fit is tried first, since it mostly
        does; then by halves: counting is not free.
        """
        too_long = self.may_fit_from(max_tokens)
        num_tokens = await self.count(too_long)
        if num_tokens <= max_tokens or self._last_start == too_long:
            return too_long, num_tokens
        start = self._last_start
        num_tokens = await self.count(start)
        while num_tokens <= max_tokens and start - too_long > 1:
            middle = (too_long + start) // 2
            tokens = await self.count(middle)
            if tokens <= max_tokens:
                start, num_tokens = middle, tokens
            else:
                too_long = middle
        return start, num_tokens


@dataclass(frozen=True, slots=True)
class _Exchange:
    """The messages of one turn: remarks and question, a line each, and the reply if any."""

    number: int
    lines: tuple[str, ...]
    reply: str | None

    def messages(self, num_skipped: int = 0) -> Iterator[ChatMessage]:
        yield ChatMessage("user", "\n".join(self.lines[num_skipped:]))
        if self.reply is not None:
            yield ChatMessage("assistant", self.reply)


def _exchanges(turns: Sequence[Turn], question: Turn | None) -> list[_Exchange]:
    """Roles alternate by construction: an earlier turn enters only together with its reply.

    Remarks of a turn that does not enter go to the next one that does.
    """
    exchanges: list[_Exchange] = []
    remarks: tuple[tuple[str, str], ...] = ()
    voices: set[str] = set()
    for turn in (*turns, question) if question else turns:
        remarks += turn.remarks
        if turn is not question and not _enters(turn):
            continue
        voices.update((turn.person.id, *(name for name, _ in remarks if name)))
        is_named = len(voices) > 1 and not turn.is_direct
        reply = None if turn is question else clean(turn.reply)
        exchanges.append(_Exchange(turn.number, _lines(turn, remarks, is_named=is_named), reply))
        remarks = ()
    return exchanges


def _enters(turn: Turn) -> bool:
    """Done, stopped and looped turns do; failed and interrupted ones do not."""
    has_reply = bool(clean(turn.reply).strip())
    return has_reply and turn.state in (TurnState.DONE, TurnState.STOPPED)


def _lines(turn: Turn, remarks: Sequence[tuple[str, str]], *, is_named: bool) -> tuple[str, ...]:
    """Remarks first; the question carries its asker's name like a remark, or none.

    A name stands once a second voice is heard in the thread, and from then on: that depends
    on earlier messages only, so nothing that was in a prompt is ever rewritten, and a thread
    of one person holds no names, which a small model would echo.
    """
    asked = (turn.person.name if is_named else "", with_sources(turn.text, turn.files).strip())
    named = ((" ".join(clean(name).split()), clean(text)) for name, text in (*remarks, asked))
    return tuple(f"{name}: {text}" if name else text for name, text in named)

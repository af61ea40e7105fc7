"""Turns the bytes of sampled tokens into events: text of the answer and of the reasoning.

``ReasoningSplitter`` separates reasoning from the answer, a ``Detokenizer`` for each of them
joins bytes to characters and finds stop strings, and ``ReplyText`` combines the two.
"""

from __future__ import annotations

import codecs
import secrets
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bot.generation import Delta, Reasoning, Said, ToolCallDelta
from bot.inference.core.model import Tag
from bot.inference.output.calls import CallPart, CallSplitter, overlap

_LINE_ENDS = dict.fromkeys(map(ord, "\x0b\x0c\x85\u2028\u2029"), "\n")
_CONTROLS = dict.fromkeys([*range(0x09), 0x0D, *range(0x0E, 0x20), *range(0x7F, 0xA0)])
_PLAIN = {**_CONTROLS, **_LINE_ENDS}
"""Translates every line end to a newline and removes invisible control characters."""

TAGS = (
    Tag(b"<think>", b"</think>"),
    Tag(b"<thinking>", b"</thinking>"),
    Tag(b"<thought>", b"</thought>"),
    Tag(b"<seed:think>", b"</seed:think>"),
    Tag(b"<mm:think>", b"</mm:think>"),
    Tag(b"[THINK]", b"[/THINK]"),
    Tag(b"<|START_THINKING|>", b"<|END_THINKING|>"),
    Tag(b"<|channel>thought\n", b"<channel|>"),
    Tag(
        b"<|channel|>analysis<|message|>",
        b"<|end|><|start|>assistant<|channel|>final<|message|>",
    ),
    Tag(b"<|channel|>final<|message|>", b""),
)

_ANY = "-"
"""A text that no reasoning begins."""

TAG_TOKENS = frozenset(
    {
        *(mark.decode() for tag in TAGS[:7] for mark in (tag.opens, tag.closes)),
        *("<|channel>", "<channel|>"),
        *("<|start|>", "<|channel|>", "<|message|>", "<|end|>"),
    }
)
"""Tokens of the tags; a vocabulary may treat them as control tokens without a text."""


def open_tag(prompt: str) -> Tag | None:
    """The tag that the end of a prompt leaves open, so that the reply begins inside it."""
    end = prompt.rstrip().encode()
    return next((tag for tag in TAGS if tag.closes and end.endswith(tag.opens.rstrip())), None)


def begun_tag(content: str) -> Tag | None:
    """The tag that the text of an answer begins with, as whoever keeps the whole text has it."""
    text = content.lstrip().encode("utf-8", "replace")
    return next((tag for tag in TAGS if tag.closes and text.startswith(tag.opens)), None)


def unclosed_tag(begun: str) -> Tag | None:
    """The tag in which a text ends that the reply continues."""
    tag = begun_tag(begun)
    return None if tag is None or tag.closes.decode() in begun else tag


class Detokenizer:
    """Turns token bytes into text that may be shown.

    The bytes of a character that spans tokens are held back until it is complete, and so is
    text that may be the beginning of a stop string. ``is_stopped`` is set when a stop string
    was found; the text before it has been returned, and nothing else will be. Line ends and
    invisible characters are made plain, unless ``is_exact``: a format decided on each of them.
    """

    def __init__(self, stop: Sequence[str] = (), *, is_exact: bool = False) -> None:
        self._is_exact = is_exact
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._stop = tuple(plain for s in stop if (plain := self._plain(s)))
        self._held = ""
        self.is_stopped = False

    def feed(self, piece: bytes) -> str:
        """Text that is certain with the bytes of this token; often empty."""
        text = self._plain(self._decoder.decode(piece))
        return self._release(text) if self._stop else text

    def flush(self) -> str:
        """The rest when the reply ends; an incomplete character becomes U+FFFD."""
        if self.is_stopped:
            return ""
        text = self._release(self._decoder.decode(b"", final=True))
        held, self._held = self._held, ""
        return text + held

    def _plain(self, text: str) -> str:
        return text if self._is_exact else text.translate(_PLAIN)

    def _release(self, text: str) -> str:
        if self.is_stopped:
            return ""
        text = self._held + text
        found = [(at + len(s), at) for s in self._stop if (at := text.find(s)) >= 0]
        if found:
            _, cut = min(found)  # the one that was complete first, however the text was cut
            self.is_stopped, self._held = True, ""
            return text[:cut]
        keep = max((overlap(text, s) for s in self._stop), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]


class ReplyPart(NamedTuple):
    is_reasoning: bool
    data: bytes


class ReasoningSplitter:
    """Splits the bytes of a reply into reasoning and answer; tags may be cut anywhere.

    ``tag``: see ``open_tag``. White space around the tags is dropped. ``is_reasoning`` is False
    while it is not yet certain whether the reply begins with a tag. ``begun``: the text that the
    reply continues, inside a tag or beyond it.
    """

    def __init__(self, tag: Tag | None = None, *, begun: str | None = None) -> None:
        is_begun = bool(begun and begun.strip())
        if begun is not None:
            tag = unclosed_tag(begun)
        self._tag = tag
        self.is_reasoning = tag is not None
        self._is_answer = is_begun and tag is None
        self._is_blank = not is_begun
        self._held = b""

    def feed(self, piece: bytes) -> list[ReplyPart]:
        """The parts that are certain with this piece; often none."""
        if self._is_answer:
            return self._emit(piece)
        self._held += piece
        return self._find_opening() if self._tag is None else self._find_closing(self._tag)

    def flush(self) -> list[ReplyPart]:
        """The rest when the reply ends: the beginning of a tag that did not continue."""
        held, self._held = self._held, b""
        self._is_answer = not self.is_reasoning
        return self._emit(held)

    def _find_opening(self) -> list[ReplyPart]:
        """Hold the text back until it is certain whether the reply begins with a tag."""
        text = self._held.lstrip()
        for tag in TAGS:
            if text.startswith(tag.opens):
                self.is_reasoning, self._tag, self._held = True, tag, text[len(tag.opens) :]
                return self._find_closing(tag)
        if any(tag.opens.startswith(text) for tag in TAGS):
            return []
        self._is_blank = False
        return self.flush()

    def _find_closing(self, tag: Tag) -> list[ReplyPart]:
        at = self._held.find(tag.closes)
        if at < 0:
            keep = len(self._held) - overlap(self._held, tag.closes)
            reasoning, self._held = self._held[:keep], self._held[keep:]
            return self._emit(reasoning)
        reasoning, answer = self._held[:at], self._held[at + len(tag.closes) :]
        parts = self._emit(reasoning)
        self.is_reasoning, self._is_answer, self._is_blank, self._held = False, True, True, b""
        return parts + self._emit(answer)

    def _emit(self, data: bytes) -> list[ReplyPart]:
        """Drops white space that follows a tag."""
        if self._is_blank:
            data = data.lstrip()
        if not data:
            return []
        self._is_blank = False
        return [ReplyPart(self.is_reasoning, data)]


class ReplyText:
    """Turns the tokens of one reply into events. Only the answer is searched for stop strings.

    ``tag`` and ``begun``: see ``ReasoningSplitter``. ``num_tokens`` counts up to the token that
    completes a stop string; ``num_reasoning_tokens`` includes the tokens of the tags.
    ``is_exact``: the answer is in a format, and no character of it is changed. ``is_raw``: all text
    is the answer, exactly, whatever tags it has.
    ``calls`` separates the calls of tools from the answer, if it may have some.
    """

    def __init__(
        self,
        stop: Sequence[str] = (),
        tag: Tag | None = None,
        *,
        begun: str | None = None,
        is_exact: bool = False,
        is_raw: bool = False,
        calls: CallSplitter | None = None,
    ) -> None:
        self._splitter = ReasoningSplitter(tag, begun=_ANY if is_raw else begun)
        self._reasoning = Detokenizer()
        self._answer = Detokenizer(stop, is_exact=is_exact or is_raw)
        self._calls = calls
        self.num_tokens = 0
        self.num_reasoning_tokens = 0

    @property
    def is_stopped(self) -> bool:
        return self._answer.is_stopped

    @property
    def is_reasoning(self) -> bool:
        return self._splitter.is_reasoning

    @property
    def num_calls(self) -> int:
        return self._calls.num_calls if self._calls else 0

    def feed(self, piece: bytes) -> list[Said]:
        """The events that are certain with the bytes of this token; often none."""
        if self.is_stopped:
            return []
        was_reasoning = self._splitter.is_reasoning
        events = list(self._events(self._splitter.feed(piece)))
        self.num_tokens += 1
        if was_reasoning or self._splitter.is_reasoning:
            self.num_reasoning_tokens = self.num_tokens  # reasoning comes first
        return events

    def flush(self, *, is_cut: bool = False) -> list[Said]:
        """The rest when the reply ends; of a call that was cut off in its first mark nothing."""
        events = list(self._events(self._splitter.flush()))
        if reasoning := self._reasoning.flush():
            events.append(Reasoning(reasoning))
        held = self._answer.feed(self._calls.flush(is_cut=is_cut)) if self._calls else ""
        if text := held + self._answer.flush():
            events.append(Delta(text))
        return events

    def _events(self, parts: Sequence[ReplyPart]) -> Iterator[Said]:
        for is_reasoning, data in parts:
            if is_reasoning:
                if reasoning := self._reasoning.feed(data):
                    yield Reasoning(reasoning)
                continue
            for part in self._calls.feed(data) if self._calls else [data]:
                if self.is_stopped:
                    return
                if isinstance(part, CallPart):
                    yield _delta(part)
                elif text := self._answer.feed(part):
                    yield Delta(text)


def _delta(part: CallPart) -> ToolCallDelta:
    number = f"call_{secrets.token_hex(12)}" if part.name else ""
    return ToolCallDelta(part.index, part.arguments, number, part.name)

"""From the bytes of tokens to text: whole characters, stop strings, and reasoning kept apart."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from typing import AnyStr, Literal, NamedTuple

from bot.inference.core.model import Tag
from bot.types import Delta, Reasoning

_LINE_ENDS = dict.fromkeys(map(ord, "\x0b\x0c\x85\u2028\u2029"), "\n")
_CONTROLS = dict.fromkeys([*range(0x09), 0x0D, *range(0x0E, 0x20), *range(0x7F, 0xA0)])
_PLAIN = {**_CONTROLS, **_LINE_ENDS}
"""Lines end in one way only, whatever reads them, and nothing is invisible."""


class Detokenizer:
    """Turns token bytes into text that may be shown.

    A character may span tokens: its bytes wait until it is whole. Text that could be the
    beginning of a stop string waits until it is known not to be one. ``is_stopped`` once a
    stop string was seen; what stood before it has been returned, it and what follows not.
    """

    def __init__(self, stop: Sequence[str] = ()) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._stop = tuple(s for s in stop if s)
        self._held = ""
        self.is_stopped = False

    def feed(self, piece: bytes) -> str:
        """Text that became certain with this token's bytes; often empty."""
        text = self._decoder.decode(piece).translate(_PLAIN)
        return self._release(text) if self._stop else text

    def flush(self) -> str:
        """What is left when the reply ends; half a character becomes U+FFFD."""
        if self.is_stopped:
            return ""
        text = self._release(self._decoder.decode(b"", final=True))
        held, self._held = self._held, ""
        return text + held

    def _release(self, text: str) -> str:
        if self.is_stopped:
            return ""
        text = self._held + text
        found = [(at + len(s), at) for s in self._stop if (at := text.find(s)) >= 0]
        if found:
            _, cut = min(found)  # the one that was complete first, however the text came
            self.is_stopped, self._held = True, ""
            return text[:cut]
        keep = max((overlap(text, s) for s in self._stop), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]


def overlap(text: AnyStr, stop: AnyStr) -> int:
    """Length of the longest end of ``text`` that is a proper beginning of ``stop``."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if stop.startswith(text[-n:])), 0)


AttentionKind = Literal["reasoning", "answer"]


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

TAG_TOKENS = frozenset(
    {
        *(mark.decode() for tag in TAGS[:7] for mark in (tag.opens, tag.closes)),
        *("<|channel>", "<channel|>"),
        *("<|start|>", "<|channel|>", "<|message|>", "<|end|>"),
    }
)
"""The tokens of the tags, which a vocabulary may count as control tokens without a text."""


def open_tag(prompt: str) -> Tag | None:
    """The tag that a prompt's end leaves open, so that the reply begins inside of it."""
    end = prompt.rstrip().encode()
    return next((tag for tag in TAGS if tag.closes and end.endswith(tag.opens.rstrip())), None)


class Part(NamedTuple):
    kind: AttentionKind
    text: bytes


class ReasoningSplitter:
    """Cuts a reply's bytes where its reasoning ends; a tag may come in any number of pieces.

    ``tag``: see ``open_tag``. White space around the tags belongs to nobody.
    """

    def __init__(self, tag: Tag | None = None) -> None:
        self._tag = tag
        self._kind: AttentionKind | None = "reasoning" if tag else None
        self._is_blank = True
        self._held = b""

    @property
    def is_reasoning(self) -> bool:
        return self._kind == "reasoning"

    def feed(self, piece: bytes) -> list[Part]:
        """What became certain with this piece; often nothing."""
        if self._kind == "answer":
            return self._pass_on(piece)
        self._held += piece
        if self._kind is None:
            return self._begin()
        return self._go_on(self._tag) if self._tag else []

    def flush(self) -> list[Part]:
        """What is left when the reply ends: the beginning of a tag that did not come."""
        held, self._held = self._held, b""
        self._kind = self._kind or "answer"
        return self._pass_on(held)

    def _begin(self) -> list[Part]:
        """Wait until it is clear whether the reply begins with a tag."""
        said = self._held.lstrip()
        for tag in TAGS:
            if said.startswith(tag.opens):
                self._kind, self._tag, self._held = "reasoning", tag, said[len(tag.opens) :]
                return self._go_on(tag)
        if any(tag.opens.startswith(said) for tag in TAGS):
            return []
        self._is_blank = False
        return self.flush()

    def _go_on(self, tag: Tag) -> list[Part]:
        at = self._held.find(tag.closes)
        if at < 0:
            keep = len(self._held) - overlap(self._held, tag.closes)
            thought, self._held = self._held[:keep], self._held[keep:]
            return self._pass_on(thought)
        thought, answer = self._held[:at], self._held[at + len(tag.closes) :]
        parts = self._pass_on(thought)
        self._kind, self._is_blank, self._held = "answer", True, b""
        return parts + self._pass_on(answer)

    def _pass_on(self, text: bytes) -> list[Part]:
        """Without the white space after a tag."""
        if self._is_blank:
            text = text.lstrip()
        if not text:
            return []
        self._is_blank = False
        return [Part(self._kind or "answer", text)]


class ReplyText:
    """A reply's tokens as events. Stop strings are looked for in the answer only."""

    def __init__(self, stop: Sequence[str] = (), tag: Tag | None = None) -> None:
        self._splitter = ReasoningSplitter(tag)
        self._reasoning = Detokenizer()
        self._answer = Detokenizer(stop)
        self._num_tokens = 0
        self.num_reasoning_tokens = 0

    @property
    def is_stopped(self) -> bool:
        return self._answer.is_stopped

    @property
    def is_reasoning(self) -> bool:
        return self._splitter.is_reasoning

    def feed(self, piece: bytes) -> list[Delta | Reasoning]:
        """What may be shown with this token's bytes; often nothing."""
        was_reasoning = self.is_reasoning
        events = self._read(self._splitter.feed(piece))
        self._num_tokens += 1
        if was_reasoning or self.is_reasoning:
            self.num_reasoning_tokens = self._num_tokens  # nothing comes before it
        return events

    def flush(self) -> list[Delta | Reasoning]:
        """What is left when the reply ends."""
        events = self._read(self._splitter.flush())
        if thought := self._reasoning.flush():
            events.append(Reasoning(thought))
        if text := self._answer.flush():
            events.append(Delta(text))
        return events

    def _read(self, parts: Sequence[Part]) -> list[Delta | Reasoning]:
        events: list[Delta | Reasoning] = []
        for kind, data in parts:
            if kind == "answer":
                if text := self._answer.feed(data):
                    events.append(Delta(text))
            elif thought := self._reasoning.feed(data):
                events.append(Reasoning(thought))
        return events

"""What a model thinks aloud before its answer, told apart from the answer by its tags.

A reply may begin with a tag, or its prompt ends with an open one. A tag anywhere later is
text: somebody may have asked what ``<think>`` means. Control tokens that make up a tag are
read as their text (see ``TAG_TOKENS``), so a tag is a tag whether or not it is one token.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from bot.inference.core.model import Tag
from bot.inference.text import TextStream, overlap
from bot.types import Delta, Reasoning

Kind = Literal["reasoning", "answer"]


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
    kind: Kind
    text: bytes


class ReasoningSplitter:
    """Cuts a reply's bytes where its reasoning ends; a tag may come in any number of pieces.

    ``tag``: see ``open_tag``. White space around the tags belongs to nobody.
    """

    def __init__(self, tag: Tag | None = None) -> None:
        self._tag = tag
        self._kind: Kind | None = "reasoning" if tag else None
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
        self._reasoning = TextStream()
        self._answer = TextStream(stop)
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

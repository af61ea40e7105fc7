"""One reply in the making: its sequence, the text that came of it, and who reads it."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as Items
from dataclasses import dataclass, field

from bot.inference.core.sequence import Sequence
from bot.inference.core.stream import GenerationStream
from bot.inference.output.text import ReplyText
from bot.types import Delta, Queued, Reasoning, Usage

_LATER_BYTES = bytes(range(0x80, 0xC0))
"""UTF-8: those of a character that are not its first."""


@dataclass(slots=True)
class Reply:
    """``piece`` tells a token's bytes; times in monotonic seconds."""

    sequence: Sequence
    stream: GenerationStream
    text: ReplyText
    piece: Callable[[int], bytes]
    accepted_at: float
    num_shown: int = 0
    shown_at: float = 0.0
    queued: Queued | None = field(default=None)

    @property
    def usage(self) -> Usage:
        sequence = self.sequence
        num_found = sequence.num_shared + sequence.num_resumed + sequence.num_restored
        num_cached = min(num_found, sequence.num_prompt)
        num_reasoning = self.text.num_reasoning_tokens
        return Usage(sequence.num_prompt, num_cached, sequence.num_generated, num_reasoning)

    @property
    def num_repeated(self) -> int:
        """Characters at its end that a looping answer can do without."""
        guard = self.sequence.guard
        if guard is None or not guard.num_repeated or self.text.is_reasoning:
            return 0
        tail = b"".join(map(self.piece, self.sequence.tokens[-guard.num_repeated :]))
        return len(tail.lstrip(_LATER_BYTES).decode("utf-8", "replace"))

    def show(self) -> None:
        """Pass on what the sequence said since it was last shown."""
        said = self.sequence.tokens[self.sequence.num_prompt + self.num_shown :]
        self.num_shown += len(said)
        for token in said:
            self._put(self.text.feed(self.piece(token)))

    def show_rest(self) -> None:
        """What was still held back; nothing more will come."""
        self._put(self.text.flush())

    def _put(self, events: Items[Delta | Reasoning]) -> None:
        for event in events:
            self.stream.put(event)

"""Replies wait a moment while the questions beside them are read.

In an engine at work they wait for one short prompt, and then go on by a token before the next:
in a step of its own it is read in less time than in two beside them.

When a crowd comes to an engine at rest, replies that have only begun wait for all of it.
Everybody's first words come early so, and then all go on in step, which costs least for each
token. Not in an engine at work: who begins in step ends in step, and all who come next would
wait for each other.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum, auto

from bot.inference.core.sequence import Chunk, Sequence
from bot.inference.prefill import StepLimits

_YOUNG = 8
"""Tokens that a reply has said at most while it is made to wait: it is hardly on a screen yet."""


class Turn(Enum):
    """Who has the next step: the prompts, the replies under way, or both."""

    READ = auto()
    GO_ON = auto()
    BOTH = auto()


class Hold:
    """``num_held``: steps in which replies waited."""

    def __init__(self) -> None:
        self.num_held = 0
        self._num_read = 0
        self._is_rested = False

    def rest(self) -> None:
        """The engine had nothing to do for a while: whoever comes now begins together."""
        self._is_rested = True

    def turn(self, decoding: Collection[Sequence], prompt: Sequence, limits: StepLimits) -> Turn:
        """``prompt`` is read next. Replies wait for nothing long, and for no background work."""
        if not decoding:
            return Turn.READ
        at_once = limits.hold if self._is_rested else limits.whole
        num_tokens = prompt.num_pending
        if prompt.is_background or num_tokens > at_once:
            return Turn.BOTH
        if not self._is_rested and num_tokens <= limits.of_both(num_tokens):
            return Turn.BOTH
        return Turn.READ if self._num_read + num_tokens <= at_once else Turn.GO_ON

    def read(self, decoding: Collection[Sequence], chunks: Collection[Chunk]) -> None:
        """A step reads these and nothing else."""
        if decoding:
            self.num_held += 1
            self._num_read += sum(len(chunk.tokens) for chunk in chunks)

    def end(self, decoding: Collection[Sequence]) -> None:
        """These replies go on, by a token each."""
        self._num_read = 0
        if any(sequence.num_generated >= _YOUNG for sequence in decoding):
            self._is_rested = False

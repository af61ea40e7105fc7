"""Speculation: a step evaluates what a reply may say next, and keeps what it does say. Pure.

How many proposed tokens a step evaluates follows from what they cost and how often they come
true, both measured. Whether proposals come true is known without evaluating them, too: each is
compared with what the reply says. So nothing is tried where it does not pay.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Protocol

from bot.inference.core.sequence import Sequence, Step

MAX_DRAFT, MAX_ROWS = 15, 32
"""Tokens of one draft; and of all in a step, for the logits of each are in memory."""
LENGTHS = (1, 3, 7, 15)
"""With the reply's own token they fill the blocks of rows that llama.cpp computes at once."""
_FIRST_ACCEPTANCE = 0.3
"""Of a reply that nothing is known of: about that of prose."""
_SMOOTHING = 0.1
_MARGIN = 1.2
"""Times the tokens a second without a draft that its own should come at: both are estimates."""
_HOPEFUL = 0.5
"""The acceptance of a reply that drafts should speed up: it is hopeful."""
_MAX_SECONDS, _MAX_TIMES = 0.1, 4.0
"""A step may take so long, or so many times one without drafts, if every reply is hopeful."""
_MAX_DELAY = 0.25
"""Of a step: what the draft of one reply may take from many beside it."""
_FIXED_REPLIES = 2
"""The fixed cost of a decode step, in replies: a draft's token is taken for one, at first."""
_LEAST_COST, _MOST_COST = 0.02, 4.0
"""Of a step: no draft's token counts for less, or for more."""
_COST_SMOOTHING = 0.5
_RELENT = 0.99
"""What is too dear by a measurement becomes cheaper by that in each step, until it is tried."""


class Proposer(Protocol):
    """Guesses how replies go on, in a time that does not count beside that of a step."""

    def propose(self, sequence: Sequence, max_tokens: int) -> list[int]:
        """The tokens that may come next, if it has a guess."""
        ...

    def forget(self, sequence: Sequence) -> None:
        """The sequence has ended."""
        ...


class DraftCosts:
    """Seconds that each token of a step's drafts adds, by the size of the longest draft.

    Apart where several replies are under way: with streams, llama.cpp evaluates what some have
    and others do not in a pass of its own. ``decode_seconds``: of a step without drafts. Lengths
    of as many bits are one size; a size is tried after the next smaller one was measured.
    """

    def __init__(self, decode_seconds: Callable[[int], float]) -> None:
        self.decode_seconds = decode_seconds
        self._alone: dict[int, float] = {}
        self._beside: dict[int, float] = {}

    def observe(self, step: Step, seconds: float) -> None:
        num_replies, num_tokens = step.num_decode, step.num_draft
        base = self.decode_seconds(num_replies)
        if not (num_tokens and base) or step.num_prefill:
            return
        cost = min(_MOST_COST * base, max(_LEAST_COST * base, (seconds - base) / num_tokens))
        known = self._of(num_replies)
        size = max(len(chunk.draft) for chunk in step.chunks).bit_length()
        known[size] = known.get(size, cost) * (1 - _COST_SMOOTHING) + cost * _COST_SMOOTHING

    def per_token(self, length: int, num_replies: int) -> float:
        """From the nearest size measured."""
        known, size = self._of(num_replies), length.bit_length()
        if not known:
            return self.decode_seconds(num_replies) / (num_replies + _FIXED_REPLIES)
        return known[min(known, key=lambda other: abs(other - size))]

    def max_length(self, num_replies: int) -> int:
        return (2 << max(self._of(num_replies), default=0)) - 1

    def relent(self, num_replies: int) -> None:
        """Drafts were too dear; that was measured in a slow moment, perhaps."""
        known = self._of(num_replies)
        for size in sorted(known)[1:]:
            del known[size]
        for size in known:
            known[size] *= _RELENT

    def _of(self, num_replies: int) -> dict[int, float]:
        return self._beside if num_replies > 1 else self._alone


@dataclass(slots=True)
class _Guess:
    """``tokens`` were proposed when the reply had ``num_tokens``.

    ``acceptance``: the share of proposed tokens that the reply then said, as long as all before
    them were right; a moving average.
    """

    num_tokens: int = 0
    tokens: list[int] = field(default_factory=list)
    acceptance: float = _FIRST_ACCEPTANCE
    draft: list[int] = field(default_factory=list)

    def compare(self, tokens: list[int]) -> None:
        """Learn from what the reply said since."""
        for proposed, said in zip(self.tokens, tokens[self.num_tokens :], strict=False):
            is_right = proposed == said
            self.acceptance += _SMOOTHING * (is_right - self.acceptance)
            if not is_right:
                return


def num_expected(acceptance: float, num_tokens: int) -> float:
    """Tokens that are accepted of a draft of ``num_tokens``, on average."""
    return sum(acceptance**number for number in range(1, num_tokens + 1))


class Speculation:
    """Drafts for replies, from a proposer. Replies are the same as without, but for rounding."""

    def __init__(self, proposer: Proposer, decode_seconds: Callable[[int], float]) -> None:
        """``decode_seconds``: of a step with so many replies; 0 if nothing is known yet."""
        self._proposer = proposer
        self.costs = DraftCosts(decode_seconds)
        self._guesses: dict[int, _Guess] = {}

    def observe(self, step: Step, seconds: float) -> None:
        self.costs.observe(step, seconds)

    def forget(self, sequence: Sequence) -> None:
        self._proposer.forget(sequence)
        self._guesses.pop(sequence.id, None)

    def drafts(self, decoding: list[Sequence], max_tokens: int) -> dict[int, list[int]]:
        """Slot -> draft, for those replies that should have one; ``max_tokens`` in all."""
        guesses = {sequence.held_slot: self._guess(sequence) for sequence in decoding}
        found = [guess for guess in guesses.values() if guess.tokens]
        if found and self.costs.decode_seconds(len(decoding)):
            self._choose(found, len(decoding), max_tokens)
        return {slot: guess.draft for slot, guess in guesses.items() if guess.draft}

    def _guess(self, sequence: Sequence) -> _Guess:
        guess = self._guesses.setdefault(sequence.id, _Guess())
        guess.compare(sequence.tokens)
        left = sequence.max_tokens - sequence.num_generated - 1
        guess.num_tokens, guess.draft = len(sequence.tokens), []
        guess.tokens = self._proposer.propose(sequence, MAX_DRAFT)[: max(0, left)]
        return guess

    def _choose(self, guesses: list[_Guess], num_replies: int, max_tokens: int) -> None:
        """Give drafts to those with whom the step is expected to have most tokens a second."""
        costs, num_hopeful = self.costs, sum(guess.acceptance >= _HOPEFUL for guess in guesses)
        load = _Load(num_replies, costs.decode_seconds(num_replies), num_hopeful, max_tokens)
        most = costs.max_length(num_replies)
        plans = [
            load.plan(guesses, length, costs.per_token(length, num_replies))
            for length in LENGTHS
            if length <= most
        ]
        best = max(plans, key=attrgetter("rate"))
        for guess, length in best.lengths:
            guess.draft = guess.tokens[:length]
        if num_hopeful and not best.lengths:
            costs.relent(num_replies)


@dataclass(frozen=True, slots=True)
class _Plan:
    """How long a draft each guess becomes, and the tokens a second that are expected of it."""

    lengths: list[tuple[_Guess, int]]
    rate: float


@dataclass(frozen=True, slots=True)
class _Load:
    """``seconds``: of a step without drafts; they may have ``max_tokens`` in all."""

    num_replies: int
    seconds: float
    num_hopeful: int
    max_tokens: int

    def plan(self, guesses: list[_Guess], length: int, cost: float) -> _Plan:
        """Drafts of one length, for those who are worth it; the most promising come first.

        ``cost``: of each of their tokens, in seconds.
        """
        lengths, num_tokens, num_said = [], 0, float(self.num_replies)
        usual, max_seconds = self.num_replies / self.seconds, self._max_seconds
        for guess in sorted(guesses, key=attrgetter("acceptance"), reverse=True):
            own = min(length, len(guess.tokens))
            is_worth = num_expected(guess.acceptance, own) >= _MARGIN * own * cost * usual
            total = num_tokens + own
            fits = total <= min(self.max_tokens, MAX_ROWS) and total * cost <= max_seconds
            if is_worth and fits:
                lengths.append((guess, own))
                num_tokens += own
                num_said += num_expected(guess.acceptance, own)
        return _Plan(lengths, num_said / (self.seconds + num_tokens * cost))

    @property
    def _max_seconds(self) -> float:
        """What drafts may add to the step."""
        if self.num_hopeful == self.num_replies:
            return max(_MAX_SECONDS, _MAX_TIMES * self.seconds) - self.seconds
        return self.seconds * max(_MAX_DELAY, self.num_hopeful / self.num_replies)

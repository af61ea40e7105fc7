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

MAX_DRAFT, _MAX_ROWS = 15, 32
"""Tokens of one draft; and of all in a step, for the logits of each are in memory."""
_SIZES = (1, 3, 7, 15)
"""With the reply's own token they fill the blocks of rows that llama.cpp computes at once."""
_FIRST_ACCEPTANCE = 0.3
"""Of a reply that nothing is known of: about that of prose."""
_SMOOTHING = 0.1
_MARGIN = 1.2
"""Times the tokens a second without a draft that its own should come at: both are estimates."""
_HOPEFUL = 0.5
"""A reply with a higher acceptance should speed up."""
_MAX_SECONDS, _MAX_TIMES = 0.1, 4.0
"""A step may take so long, or so many times one without drafts, if every reply has hope."""
_MAX_DELAY = 0.25
"""Of a step: what one draft may take from the replies beside it."""
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
    """Seconds that the tokens of drafts add to a step, by their number.

    Apart where several replies are under way, for llama.cpp may evaluate the drafts of some of
    them in a pass of their own. ``decode_seconds``: of a step without drafts. Numbers of as many
    bits count as one size; a size is tried after the next smaller one was measured.
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
        per_token, size = self._of(num_replies), num_tokens.bit_length()
        known = per_token.get(size, cost)
        per_token[size] = known + _COST_SMOOTHING * (cost - known)

    def seconds(self, num_tokens: int, num_replies: int) -> float:
        """From the nearest size measured."""
        per_token, size = self._of(num_replies), num_tokens.bit_length()
        if not per_token:
            share = 1 / (num_replies + _FIXED_REPLIES)
            return num_tokens * share * self.decode_seconds(num_replies)
        return num_tokens * per_token[min(per_token, key=lambda known: abs(known - size))]

    def max_tokens(self, num_replies: int) -> int:
        return (2 << max(self._of(num_replies), default=0)) - 1

    def relent(self, num_replies: int) -> None:
        """Drafts were too dear; that was measured in a slow moment, perhaps."""
        per_token = self._of(num_replies)
        for size in sorted(per_token)[1:]:
            del per_token[size]
        for size in per_token:
            per_token[size] *= _RELENT

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

    def num_expected(self, num_tokens: int) -> float:
        """Tokens that are accepted of a draft of ``num_tokens``, on average."""
        return sum(self.acceptance**number for number in range(1, num_tokens + 1))


class Speculation:
    """Drafts for replies, from a proposer. Replies are the same as without, but for rounding."""

    def __init__(self, proposer: Proposer, decode_seconds: Callable[[int], float]) -> None:
        """``decode_seconds``: of a step with so many replies; 0 if nothing is known yet."""
        self._proposer = proposer
        self._costs = DraftCosts(decode_seconds)
        self._guesses: dict[int, _Guess] = {}

    def observe(self, step: Step, seconds: float) -> None:
        self._costs.observe(step, seconds)

    def forget(self, sequence: Sequence) -> None:
        self._proposer.forget(sequence)
        self._guesses.pop(sequence.id, None)

    def drafts(self, decoding: list[Sequence], max_tokens: int) -> dict[int, list[int]]:
        """Slot -> draft, for those replies that should have one; ``max_tokens`` in all."""
        guesses = {sequence.held_slot: self._guess(sequence) for sequence in decoding}
        found = [guess for guess in guesses.values() if guess.tokens]
        if found and self._costs.decode_seconds(len(decoding)):
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
        """The most promising first: each gets the draft with which the step is worth the most."""
        num_hopeful = sum(guess.acceptance >= _HOPEFUL for guess in guesses)
        plan = _Plan(self._costs, num_replies, num_hopeful, max_tokens)
        for guess in sorted(guesses, key=attrgetter("acceptance"), reverse=True):
            plan.add(guess)
        if num_hopeful and not plan.num_tokens:
            self._costs.relent(num_replies)


class _Plan:
    """The drafts of one step: ``num_tokens`` in all, and what is expected of them."""

    def __init__(
        self, costs: DraftCosts, num_replies: int, num_hopeful: int, max_tokens: int
    ) -> None:
        self.num_tokens = 0
        self._costs, self._num_replies = costs, num_replies
        self._max_tokens = min(max_tokens, costs.max_tokens(num_replies), _MAX_ROWS)
        self._num_expected = float(num_replies)
        self._base = costs.decode_seconds(num_replies)
        self._max_seconds = self._base * max(_MAX_DELAY, num_hopeful / num_replies)
        if num_hopeful == num_replies:
            self._max_seconds = max(_MAX_SECONDS, _MAX_TIMES * self._base) - self._base

    def add(self, guess: _Guess) -> None:
        sizes = {min(size, len(guess.tokens)) for size in _SIZES}
        rates = {size: self._rate(guess, size) for size in sizes}
        best = max(rates, key=lambda size: rates[size])
        if rates[best] > self._num_expected / (self._base + self._seconds(0)):
            guess.draft = guess.tokens[:best]
            self.num_tokens += best
            self._num_expected += guess.num_expected(best)

    def _rate(self, guess: _Guess, size: int) -> float:
        """Tokens a second with a draft of that size; 0 if it must not be."""
        seconds, gained = self._seconds(size), guess.num_expected(size)
        if self.num_tokens + size > self._max_tokens or seconds > self._max_seconds:
            return 0.0
        added = seconds - self._seconds(0)
        if gained * self._base < _MARGIN * added * self._num_replies:
            return 0.0
        return (self._num_expected + gained) / (self._base + seconds)

    def _seconds(self, size: int) -> float:
        return self._costs.seconds(self.num_tokens + size, self._num_replies)

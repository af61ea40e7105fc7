"""How many prompt tokens a step may carry: short steps beside replies, but never dear ones."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bot.inference.core.sequence import Step
from bot.inference.step_costs import FIRST_TOKENS, MIN_TOKENS, StepCosts, Trial

_ALONE, _WHOLE, _SHORT = 4, 2.5, 1.6
"""Times as long as others may take: a step that only reads, one for which replies wait while a
prompt is read in it as a whole, one in which a short prompt is read beside them.
"""
_FOR_SHORTER = 1.25
"""Times the least may a prompt's token cost beside replies, where the step is shorter for it: with
3,000 cells in use 512 tokens take 3.7 s on an Emerald Rapids, 64 of them 0.6 s, a sixth dearer.
"""
_HOLD_SECONDS = 1.0
_SLOWDOWN = 2.0
"""Times as long as alone may a reply's token take beside prompts where even that is long."""
_MAX_DEBT = 30.0
"""Tokens of the replies that a step may delay at most before they are left alone: whatever took
longer was not the prompt's fault.
"""


@dataclass(frozen=True, slots=True)
class StepLimits:
    """Prompt tokens. ``beside``: of a step in which replies go on, too; ``short_beside`` if it
    begins with a prompt of which only ``alone`` are left.

    ``enough``: of a step that only reads. A prompt that begins it may be longer, up to
    ``alone``. ``whole``: of prompts for which replies wait; ``hold``: of those for which replies
    that have only begun wait. ``is_owed``: the replies were kept waiting, and go on alone.
    ``full``: of a step for the only prompt that there is, while nobody waits for anything.
    ``least``: steps with fewer tokens are dearer, for each token. ``trials``: sizes that a step
    may have instead, if a prompt that it does not end is long enough.
    """

    beside: int
    short_beside: int
    enough: int
    alone: int
    whole: int = 0
    hold: int = 0
    is_owed: bool = False
    full: int = 0
    least: int = 0
    trials: tuple[Trial, ...] = ()

    @classmethod
    def all(cls, num_tokens: int) -> StepLimits:
        """A step takes so many, whoever else is in it, and nobody waits."""
        return cls(num_tokens, num_tokens, num_tokens, num_tokens, full=num_tokens)

    def of_prompts(self, num_first: int) -> int:
        """Of a step that reads only, and first a prompt of which so many tokens are left."""
        return self._cut(max(self.enough, min(self.alone, num_first)), num_first)

    def of_both(self, num_first: int) -> int:
        """Of a step in which replies go on, too, and first such a prompt is read."""
        num_tokens = self.short_beside if num_first <= self.alone else self.beside
        return self._cut(num_tokens, num_first)

    def _cut(self, num_tokens: int, num_first: int) -> int:
        """A trial where there is one, and no prompt ends with a step so small that it is dear."""
        if num_tokens < num_first:
            num_tokens = self._trial_in(num_first) or num_tokens
        if not 0 < num_first - num_tokens < self.least:
            return num_tokens
        if num_first >= 2 * self.least:
            return num_first - self.least
        return num_first if num_first <= self.full else num_tokens

    def _trial_in(self, num_first: int) -> int:
        return next((trial.size for trial in self.trials if trial.num_left <= num_first), 0)

    def undisturbed(self) -> StepLimits:
        """For the only prompt that there is."""
        num_tokens = max(self.full, self.alone)
        return replace(self, beside=num_tokens, enough=num_tokens, alone=num_tokens, trials=())

    def at_most(self, num_tokens: int) -> StepLimits:
        return replace(
            self,
            beside=min(self.beside, num_tokens),
            short_beside=min(self.short_beside, num_tokens),
            enough=min(self.enough, num_tokens),
            alone=min(self.alone, num_tokens),
            full=min(self.full, num_tokens),
            trials=tuple(trial for trial in self.trials if trial.size <= num_tokens),
        )


class PrefillBudget:
    """Learns from finished steps what they cost, and keeps them short.

    A step should take about ``target`` seconds; one in which no reply goes on up to four times
    that, if a prompt is read to its end with it. Where that would take steps so small that
    their tokens cost more, steps are longer, and what they take too long is given back: the
    replies go on alone, until a token of theirs took no longer than it may on average.
    """

    def __init__(self, max_tokens: int, target: float = 0.1) -> None:
        self._max_tokens = max_tokens
        self._target = target
        self._costs = StepCosts(max_tokens)
        self._debt = 0.0

    def observe(self, step: Step, seconds: float, num_cells: int) -> None:
        """``num_cells``: in use with what the step has read."""
        self._costs.observe(step, seconds, num_cells)
        if not step.num_decode:  # no replies were left, as what is owed to them goes first
            self._debt = 0.0
            return
        may_take = self._may_take(step.num_decode)
        over = seconds - may_take
        if step.num_prefill or over < 0:
            self._debt = min(max(0.0, self._debt + over), _MAX_DEBT * may_take)

    def limits(self, num_replies: int, num_cells: int) -> StepLimits:
        """For the next step, if so many replies go on in it and so many cells are in use."""
        if self._costs.is_unknown:
            few = StepLimits.all(self._within(FIRST_TOKENS))
            return replace(few, full=self._max_tokens)
        costs, target = self._costs, self._target
        wanted = self._wanted(target - costs.decoding(num_replies), num_cells)
        beside, least = self._beside(num_replies, target, num_cells), costs.least(num_cells)
        return StepLimits(
            beside=beside,
            short_beside=self._beside(num_replies, _SHORT * target, num_cells),
            enough=self._economical(target, num_cells),
            alone=self._economical(_ALONE * target, num_cells),
            whole=costs.num_within(_WHOLE * target, num_cells),
            hold=costs.num_within(_HOLD_SECONDS, num_cells),
            is_owed=num_replies > 0 and self._debt > 0,
            full=self._max_tokens,
            least=min(least, beside) if num_replies else least,
            trials=costs.trials(wanted, num_replies, num_cells),
        )

    def _may_take(self, num_replies: int) -> float:
        """Seconds from one token of the replies to the next, on average."""
        return max(_SHORT * self._target, _SLOWDOWN * self._costs.decoding(num_replies))

    def _beside(self, num_replies: int, seconds: float, num_cells: int) -> int:
        wanted = self._wanted(seconds - self._costs.decoding(num_replies), num_cells)
        return self._within(self._costs.economical(wanted, num_cells, _FOR_SHORTER))

    def _economical(self, seconds: float, num_cells: int) -> int:
        wanted = self._wanted(seconds, num_cells)
        return self._within(self._costs.economical(wanted, num_cells))

    def _wanted(self, seconds: float, num_cells: int) -> int:
        return self._within(self._costs.num_within(max(0.0, seconds), num_cells))

    def _within(self, num_tokens: int) -> int:
        return max(MIN_TOKENS, min(self._max_tokens, num_tokens))

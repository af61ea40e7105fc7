"""How many prompt tokens a step may have: few beside replies, but never so few that it is dear."""

from __future__ import annotations

from dataclasses import replace

from bot.inference.core.sequence import Step
from bot.inference.scheduling.step_costs import FIRST_TOKENS, MIN_TOKENS, StepCosts
from bot.inference.scheduling.step_limits import StepLimits

_NEVER = float("inf")

_LAST, _PAUSE, _SHORT, _LONG = 4, 2.5, 1.6, 8
"""Times the target: a prefill step; a prefill step for which replies are paused, with a whole
prompt; a mixed step with a short prompt; the prefill time of a long prompt.
"""
_FOR_SHORTER = 1.25
"""Times the least cost of a prompt's token, allowed in a mixed step where that is shorter for it:
with 3,000 cells in use 512 tokens take 3.7 s on an Emerald Rapids; 64 take 0.6 s, and each a
sixth more.
"""
_GAP = 5.0
"""Times the decode time: a mixed step should take no longer, and none is tried that would."""
_FOR_GAP = 2.5
"""Times the least cost of a prompt's token, allowed in a mixed step where that avoids a longer
one: with 3,000 cells in use and flash attention 512 tokens take 3.6 s on an EPYC, 64 take 0.6 s,
16 take 0.2 s, and each costs 1.6 times as much; 1.9 times with 4,000, give or take what is measured
wrong.
"""
_YOUNG_PAUSE_SECONDS = 1.0
"""Prefill time for which replies that have only begun are paused."""
_SLOWDOWN = 2.0
"""Times the decode time that a token of a reply may take beside a prompt, where decode alone takes
long.
"""
_LONG_SLOWDOWN = 1.85
"""The same beside a long prompt: with its short rest, replies keep half of their speed."""
_MAX_DEBT = 30.0
"""The most that is owed to the replies, in tokens: any longer delay was not the prompt's fault."""


class PrefillBudget:
    """Learns from finished steps what they cost, and keeps the next ones short.

    A step should take about ``target`` seconds, and a prefill step up to four times that if it
    ends a prompt. Where that would make steps so small that their tokens cost more, steps are
    longer, and the replies are owed the difference: then steps are decode only, until a token of
    theirs takes no longer than it may on average. Beside a long prompt that is nearly twice as
    long as without it, so that they share the time.
    """

    def __init__(self, max_tokens: int, target: float = 0.1) -> None:
        self._max_tokens = max_tokens
        self._target = target
        self.costs = StepCosts(max_tokens)
        self._debt = self._long_debt = 0.0

    def observe(self, step: Step, seconds: float, num_cells: int) -> None:
        """``num_cells``: cells in use after the step."""
        self.costs.observe(step, seconds, num_cells)
        if not step.num_decode:  # there is no reply left to owe anything: they go first
            self._debt = self._long_debt = 0.0
            return
        decode = self.costs.decode(step.num_decode)
        may_take = max(_SHORT * self._target, _SLOWDOWN * decode)
        self._debt = _owed(self._debt, may_take, step, seconds)
        self._long_debt = _owed(self._long_debt, _LONG_SLOWDOWN * decode, step, seconds)

    def limits(self, num_replies: int, num_cells: int) -> StepLimits:
        """For the next step, with so many replies under way and so many cells in use."""
        if not self.costs.is_known:
            few = StepLimits.all(self._within(FIRST_TOKENS))
            return replace(few, full=self._max_tokens)
        costs, target = self.costs, self._target
        wanted = self._wanted(target - costs.decode(num_replies), num_cells)
        mixed, least = self._mixed(num_replies, target, num_cells), costs.least(num_cells)
        longest = max(self._gap(num_replies, target), mixed * costs.per_token(mixed, num_cells))
        return StepLimits(
            mixed=mixed,
            short_mixed=self._mixed(num_replies, _SHORT * target, num_cells),
            prefill=self._economical(target, num_cells),
            last_prefill=self._economical(_LAST * target, num_cells),
            pause=costs.num_within(_PAUSE * target, num_cells),
            young_pause=costs.num_within(_YOUNG_PAUSE_SECONDS, num_cells),
            is_owed=num_replies > 0 and self._debt > 0,
            long=costs.num_within(_LONG * target, num_cells),
            long_owes=num_replies > 0 and self._long_debt > 0,
            full=self._max_tokens,
            least=min(least, mixed) if num_replies else least,
            trials=costs.trials(wanted, num_replies, num_cells, longest),
        )

    def _mixed(self, num_replies: int, seconds: float, num_cells: int) -> int:
        wanted = self._wanted(seconds - self.costs.decode(num_replies), num_cells)
        found = self._within(self.costs.economical(wanted, num_cells, _FOR_SHORTER))
        gap = self._gap(num_replies, seconds)
        return self._within(self.costs.shorter(found, gap, num_cells, _FOR_GAP))

    def _gap(self, num_replies: int, seconds: float) -> float:
        """The most that prefill should add to a step that may take ``seconds`` anyway."""
        return max(seconds, (_GAP - 1) * self.costs.decode(num_replies)) if num_replies else _NEVER

    def _economical(self, seconds: float, num_cells: int) -> int:
        wanted = self._wanted(seconds, num_cells)
        return self._within(self.costs.economical(wanted, num_cells))

    def _wanted(self, seconds: float, num_cells: int) -> int:
        return self._within(self.costs.num_within(max(0.0, seconds), num_cells))

    def _within(self, num_tokens: int) -> int:
        return max(MIN_TOKENS, min(self._max_tokens, num_tokens))


def _owed(debt: float, may_take: float, step: Step, seconds: float) -> float:
    """What is owed after the step, in which a token of each reply might take ``may_take``."""
    over = seconds - may_take * (1 + step.num_forced / step.num_decode)
    if step.num_prefill > step.num_forced or over < 0:
        return min(max(0.0, debt + over), _MAX_DEBT * may_take)
    return debt

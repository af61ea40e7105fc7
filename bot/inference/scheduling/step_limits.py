"""How many prompt tokens the next step may have, whatever it becomes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bot.inference.scheduling.step_costs import SizeTrial


@dataclass(frozen=True, slots=True)
class StepLimits:
    """Numbers of prompt tokens for the next step.

    In a mixed step: ``mixed``, or ``short_mixed`` if at most ``last_prefill`` are left of its first
    prompt. In a prefill step: ``prefill``, or up to ``last_prefill`` if that ends its first prompt.
    Replies are paused for prompts of at most ``pause`` tokens, and replies that have only begun
    for ``young_pause``, before they get a token again.
    ``is_owed``: replies were delayed too long, and the next step is decode only; ``long_owes``:
    only if its first prompt has more than ``long`` tokens left. ``full``: for the only prompt,
    beside no reply. Steps of fewer than ``least`` cost more a token. ``trials``: sizes that a step
    may have instead, in a prompt that is long enough.
    """

    mixed: int
    short_mixed: int
    prefill: int
    last_prefill: int
    pause: int = 0
    young_pause: int = 0
    is_owed: bool = False
    long: int = 0
    long_owes: bool = False
    full: int = 0
    least: int = 0
    trials: tuple[SizeTrial, ...] = ()

    @classmethod
    def all(cls, num_tokens: int) -> StepLimits:
        """The same number for every step. Replies are never paused."""
        return cls(num_tokens, num_tokens, num_tokens, num_tokens, full=num_tokens)

    def owes(self, num_first: int) -> bool:
        """Whether the next step is decode only; its first prompt has ``num_first`` tokens left."""
        return self.is_owed or (self.long_owes and num_first > self.long)

    def of_prefill(self, num_first: int) -> int:
        """For a prefill step whose first prompt has ``num_first`` tokens left."""
        return self._cut(max(self.prefill, min(self.last_prefill, num_first)), num_first)

    def of_mixed(self, num_first: int) -> int:
        """For a mixed step whose first prompt has ``num_first`` tokens left."""
        num_tokens = self.short_mixed if num_first <= self.last_prefill else self.mixed
        return self._cut(num_tokens, num_first)

    def _cut(self, num_tokens: int, num_first: int) -> int:
        """Take a trial, if there is one; leave no rest so small that its step would be dear."""
        if num_tokens < num_first:
            trials = (trial.size for trial in self.trials if trial.num_left <= num_first)
            num_tokens = next(trials, num_tokens)
        if not 0 < num_first - num_tokens < self.least:
            return num_tokens
        if num_first >= 2 * self.least:
            return num_first - self.least
        return num_first if num_first <= self.full else num_tokens

    def undisturbed(self) -> StepLimits:
        """For the only sequence: there are no replies to delay."""
        num_tokens = max(self.full, self.last_prefill)
        return replace(
            self, mixed=num_tokens, prefill=num_tokens, last_prefill=num_tokens, trials=()
        )

    def at_most(self, num_tokens: int) -> StepLimits:
        return replace(
            self,
            mixed=min(self.mixed, num_tokens),
            short_mixed=min(self.short_mixed, num_tokens),
            prefill=min(self.prefill, num_tokens),
            last_prefill=min(self.last_prefill, num_tokens),
            full=min(self.full, num_tokens),
            trials=tuple(trial for trial in self.trials if trial.size <= num_tokens),
        )

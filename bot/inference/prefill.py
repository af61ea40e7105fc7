"""How many prompt tokens a step may carry so that it stays short on any hardware."""

from __future__ import annotations

from dataclasses import dataclass

from bot.inference.sequence import Step

_SMOOTHING = 0.3
_MIN_TOKENS = 16
_SMALL_STEP, _LARGE_STEP = 63, 160
"""Tokens. On a CPU a step of 64 takes llama.cpp's other path through attention, which costs up
to a third more where replies go on in it, and pays off for large steps only.
"""
_ALONE, _WHOLE, _SHORT = 4, 2.5, 1.6
"""Times as long as others may take: a step that only reads, one for which replies wait while a
prompt is read in it as a whole, one in which a short prompt is read beside them.
"""
_HOLD_SECONDS = 1.0
_FIXED_REPLIES = 2
"""What a step costs however few replies go on in it, measured in replies."""


def _smoothed(known: float | None, seconds: float) -> float:
    return seconds if known is None else known + _SMOOTHING * (seconds - known)


@dataclass(frozen=True, slots=True)
class StepLimits:
    """Prompt tokens. ``beside``: of a step in which replies go on, too; ``short_beside`` if it
    begins with a prompt of which only ``alone`` are left.

    ``enough``: of a step that only reads. A prompt that begins it may be longer, up to
    ``alone``. ``whole``: of prompts for which replies wait; ``hold``: of those for which replies
    that have only begun wait.
    """

    beside: int
    short_beside: int
    enough: int
    alone: int
    whole: int = 0
    hold: int = 0

    @classmethod
    def all(cls, num_tokens: int) -> StepLimits:
        """A step takes so many, whoever else is in it, and nobody waits."""
        return cls(num_tokens, num_tokens, num_tokens, num_tokens)

    def of_prompts(self, num_first: int) -> int:
        """Of a step that reads only, and first a prompt of which so many tokens are left."""
        return max(self.enough, min(self.alone, num_first))

    def of_both(self, num_first: int) -> int:
        """Of a step in which replies go on, too, and first such a prompt is read."""
        return self.short_beside if num_first <= self.alone else self.beside

    def at_most(self, num_tokens: int) -> StepLimits:
        return StepLimits(
            beside=min(self.beside, num_tokens),
            short_beside=min(self.short_beside, num_tokens),
            enough=min(self.enough, num_tokens),
            alone=min(self.alone, num_tokens),
            whole=self.whole,
            hold=self.hold,
        )


class PrefillBudget:
    """Learns what a prompt token and a decode step cost, in seconds, from finished steps.

    A step should take about ``target`` seconds; one in which no reply goes on up to four times
    that, if a prompt is read to its end with it.
    """

    def __init__(self, max_tokens: int, target: float = 0.1) -> None:
        self._max_tokens = max_tokens
        self._target = target
        self._per_token: float | None = None
        self._decode: dict[int, float] = {}

    def observe(self, step: Step, seconds: float) -> None:
        num_decode, num_prefill = step.num_decode, step.num_prefill
        if num_prefill == 0 and num_decode:
            self._decode[num_decode] = _smoothed(self._decode.get(num_decode), seconds)
        elif num_prefill >= _MIN_TOKENS:
            cost = max(seconds - self._decoding(num_decode), seconds * 0.2) / num_prefill
            self._per_token = _smoothed(self._per_token, cost)

    def limits(self, num_replies: int) -> StepLimits:
        """For the next step, if so many replies go on in it."""
        if self._per_token is None:
            return StepLimits.all(min(self._max_tokens, _ALONE * _MIN_TOKENS))
        return StepLimits(
            beside=self._beside(num_replies, self._target),
            short_beside=self._beside(num_replies, _SHORT * self._target),
            enough=self._within(self._target / self._per_token),
            alone=self._within(_ALONE * self._target / self._per_token),
            whole=int(_WHOLE * self._target / self._per_token),
            hold=int(_HOLD_SECONDS / self._per_token),
        )

    def _beside(self, num_decoding: int, seconds: float) -> int:
        wanted = int((seconds - self._decoding(num_decoding)) / (self._per_token or 1.0))
        if _SMALL_STEP < wanted + num_decoding < _LARGE_STEP:
            wanted = _SMALL_STEP - num_decoding
        return self._within(wanted)

    def _decoding(self, num_replies: int) -> float:
        """Seconds of a step that does nothing else; from the nearest number that was measured."""
        if not self._decode or not num_replies:
            return 0.0
        nearest = min(self._decode, key=lambda number: abs(number - num_replies))
        share = (num_replies + _FIXED_REPLIES) / (nearest + _FIXED_REPLIES)
        return self._decode[nearest] * share

    def _within(self, num_tokens: float) -> int:
        return max(_MIN_TOKENS, min(self._max_tokens, int(num_tokens)))

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
_ALONE = 4
_HOLD_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Prompt tokens. ``beside``: of a step in which replies go on, too.

    ``enough``: of a step that only reads. A prompt that begins it may be longer, up to
    ``alone``. ``hold``: read in a row while replies that have only begun wait.
    """

    beside: int
    enough: int
    alone: int
    hold: int = 0

    def of_prompts(self, num_first: int) -> int:
        """Of a step that reads only, and first a prompt of which so many tokens are left."""
        return max(self.enough, min(self.alone, num_first))

    def at_most(self, num_tokens: int) -> Limits:
        beside, enough = min(self.beside, num_tokens), min(self.enough, num_tokens)
        return Limits(beside, enough, min(self.alone, num_tokens), self.hold)


class PrefillBudget:
    """Learns what a prompt token and a decode step cost, in seconds, from finished steps.

    A step should take about ``target`` seconds; one in which no reply goes on up to four times
    that, if a prompt is read to its end with it.
    """

    def __init__(self, max_tokens: int, target: float = 0.1) -> None:
        self._max_tokens = max_tokens
        self._target = target
        self._per_token: float | None = None
        self._decode = 0.0

    def observe(self, step: Step, seconds: float) -> None:
        num_decode, num_prefill = step.num_decode, step.num_prefill
        if num_prefill == 0 and num_decode:
            self._decode += _SMOOTHING * (seconds - self._decode)
        elif num_prefill >= _MIN_TOKENS:
            decode = self._decode if num_decode else 0.0
            cost = max(seconds - decode, seconds * 0.2) / num_prefill
            known = self._per_token if self._per_token is not None else cost
            self._per_token = known + _SMOOTHING * (cost - known)

    def limits(self, num_decoding: int) -> Limits:
        """For the next step, with ``num_decoding`` replies running."""
        if self._per_token is None:
            first = min(self._max_tokens, _ALONE * _MIN_TOKENS)
            return Limits(beside=first, enough=first, alone=first)
        return Limits(
            beside=self._beside(num_decoding, self._per_token),
            enough=self._within(self._target / self._per_token),
            alone=self._within(_ALONE * self._target / self._per_token),
            hold=int(_HOLD_SECONDS / self._per_token),
        )

    def _beside(self, num_decoding: int, per_token: float) -> int:
        wanted = int((self._target - self._decode) / per_token)
        if _SMALL_STEP < wanted + num_decoding < _LARGE_STEP:
            wanted = _SMALL_STEP - num_decoding
        return self._within(wanted)

    def _within(self, num_tokens: float) -> int:
        return max(_MIN_TOKENS, min(self._max_tokens, int(num_tokens)))

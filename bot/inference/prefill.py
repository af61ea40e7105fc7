"""How many prompt tokens a step may carry so that it stays short on any hardware."""

from __future__ import annotations

from bot.inference.sequence import Step

_SMOOTHING = 0.3
_MIN_TOKENS = 16
_SMALL_STEP, _LARGE_STEP = 63, 160
"""Tokens. On a CPU a step of 64 takes llama.cpp's other path through attention, which costs up
to twice as much while many cells are in use, and pays off for large steps only.
"""


class PrefillBudget:
    """Learns what a prompt token and a decode step cost, in seconds, from finished steps.

    While replies are running a step should take about ``target`` seconds; while nobody is
    reading, four times that, since larger chunks evaluate faster.
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

    def tokens(self, num_decoding: int) -> int:
        """The prefill share of the next step, with ``num_decoding`` replies running."""
        if self._per_token is None:
            return min(self._max_tokens, 4 * _MIN_TOKENS)
        room = self._target - self._decode if num_decoding else 4 * self._target
        wanted = int(room / self._per_token)
        if num_decoding and _SMALL_STEP < wanted + num_decoding < _LARGE_STEP:
            wanted = _SMALL_STEP - num_decoding
        return max(_MIN_TOKENS, min(self._max_tokens, wanted))

"""The measured cost of prefill, and of saving, restoring and reading states."""

from __future__ import annotations

from bot.inference.core.saved_state import SavedState
from bot.inference.core.sequence import Step

MIN_GAIN = 2.0
_SMOOTHING = 0.3
_MIN_PREFILL = 16
"""Prompt tokens; shorter steps are not measured."""
_TRY_AGAIN = 32
"""One in so many refusals is overruled, so that one slow moment does not decide for ever."""


class _MovingAverage:
    """A moving average of seconds (or bytes) for each unit; None until measured."""

    def __init__(self) -> None:
        self._value: float | None = None

    def take(self, seconds: float, number: int) -> None:
        if number <= 0:
            return
        each = seconds / number
        known = self._value if self._value is not None else each
        self._value = known + _SMOOTHING * (each - known)

    def of(self, number: int) -> float | None:
        return self._value * number if self._value is not None else None


class CostModel:
    """Decides whether a saved state is faster than prefill.

    ``min_gain``: the detour over a saved state must be that many times as fast as prefill. A
    cost that was never measured counts as worth it, so that it is measured.
    """

    def __init__(self, min_gain: float = MIN_GAIN) -> None:
        self._min_gain = min_gain
        self._evaluated, self._saved = _MovingAverage(), _MovingAverage()
        self._restored, self._read = _MovingAverage(), _MovingAverage()
        self._bytes_per_token = _MovingAverage()
        self._num_refused = 0

    def evaluated(self, step: Step, seconds: float) -> None:
        """Measure a prompt's token, in steps that consist mostly of prefill."""
        num_prefill = step.num_prefill
        if num_prefill >= max(_MIN_PREFILL, 3 * step.num_decode):
            self._evaluated.take(max(0.0, seconds), num_prefill)

    def saved(self, saved: SavedState) -> None:
        self._saved.take(saved.seconds, saved.num_bytes)
        self._bytes_per_token.take(saved.num_bytes, len(saved.tokens))

    def restored(self, saved: SavedState) -> None:
        self._restored.take(saved.seconds, saved.num_bytes)

    def was_read(self, saved: SavedState, seconds: float) -> None:
        self._read.take(seconds, saved.num_bytes)

    def is_worth_saving(self, num_tokens: int, num_own: int) -> bool:
        """Without the state, ``num_own`` of its ``num_tokens`` would be evaluated again."""
        num_bytes = int(self._bytes_per_token.of(num_tokens) or 0)
        detour = [self._saved.of(num_bytes), self._restored.of(num_bytes)]
        return self._is_worth(num_own, detour)

    def is_worth_restoring(self, saved: SavedState, num_gained: int) -> bool:
        detour = [self._restored.of(saved.num_bytes)]
        if saved.state is None:
            detour.append(self._read.of(saved.num_bytes))
        return self._is_worth(num_gained, detour)

    def _is_worth(self, num_tokens: int, detour: list[float | None]) -> bool:
        evaluating = self._evaluated.of(num_tokens)
        if evaluating is None:
            return num_tokens > 0
        if num_tokens > 0 and self._min_gain * sum(s or 0.0 for s in detour) <= evaluating:
            return True
        self._num_refused += 1
        return num_tokens > 0 and self._num_refused % _TRY_AGAIN == 0

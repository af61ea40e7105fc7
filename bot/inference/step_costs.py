"""What a step costs here, in seconds, learnt from finished steps. Pure.

A prompt's token does not cost the same everywhere: small steps may take a slower path through
llama.cpp, and every step costs more the more cells are in use. So there is an estimate for each
size of step, as a line over the cells in use.
"""

from __future__ import annotations

from bot.inference.sequence import Step

MIN_TOKENS = 16
"""Steps that read fewer tell nothing about what a token costs."""
_SMOOTHING = 0.3
_MEMORY = 0.85
"""What a measurement still weighs when the next one of its size has come."""
_OTHER = 2.0
"""Times as long, or as short, as expected: then it is another machine now, so to say."""
_ABOUT_EQUAL = 1.08
"""Costs that differ by less count as the same."""
_STALE = 300.0
"""Seconds of reading after which a size counts as unknown: no slow moment decides for ever."""
_MAX_LOSS, _MAX_TIMES = 0.02, 8
"""Of the time for reading, spent on trying again what was dear: it may have been a slow moment.
What was dearer than so many times the best may have been one all the more.
"""
_LOOK_EVERY, _LOOK_SECONDS = 10.0, 2.0
"""Seconds of reading between two looks at a size that nobody would ask for, lest it be the best
one; and how long a step may take that is a mere try.
"""
_NO_SIZE = 1 << 30
_FIXED_REPLIES = 2
"""What a step costs however few replies go on in it, measured in replies."""


class _Line:
    """Seconds a token over the cells in use: a line through what was measured of late."""

    def __init__(self) -> None:
        self._weight = self._x = self._y = self._xx = self._xy = 0.0

    def add(self, x: float, y: float) -> None:
        self._weight = self._weight * _MEMORY + 1
        self._x = self._x * _MEMORY + x
        self._y = self._y * _MEMORY + y
        self._xx = self._xx * _MEMORY + x * x
        self._xy = self._xy * _MEMORY + x * y

    def at(self, x: float) -> float:
        mean_x, mean_y = self._x / self._weight, self._y / self._weight
        variance = self._xx / self._weight - mean_x * mean_x
        if variance <= (0.05 * mean_x) ** 2:
            return mean_y
        slope = max(0.0, (self._xy / self._weight - mean_x * mean_y) / variance)
        return max(mean_y + slope * (x - mean_x), 0.1 * mean_y)


class StepCosts:
    """``max_tokens``: of prompts that one step may read."""

    def __init__(self, max_tokens: int) -> None:
        self._sizes = _sizes_up_to(max_tokens)
        self._lines: dict[int, _Line] = {}
        self._seen_at: dict[int, float] = {}
        self._spent = self._looked_at = 0.0
        self._decode: dict[int, float] = {}

    @property
    def is_unknown(self) -> bool:
        """Nothing was read yet."""
        return not self._lines

    def observe(self, step: Step, seconds: float, num_cells: int) -> None:
        """``num_cells``: in use with what the step has read."""
        num_decode, num_prefill = step.num_decode, step.num_prefill
        if num_prefill == 0 and num_decode:
            known = self._decode.get(num_decode, seconds)
            self._decode[num_decode] = known + _SMOOTHING * (seconds - known)
        elif num_prefill >= MIN_TOKENS:
            reading = max(seconds - self.decoding(num_decode), 0.2 * seconds)
            self._add(self._size_of(num_prefill), num_cells, num_prefill, reading)

    def decoding(self, num_replies: int) -> float:
        """Of a step that does nothing else; from the nearest number that was measured."""
        if not self._decode or not num_replies:
            return 0.0
        nearest = min(self._decode, key=lambda number: abs(number - num_replies))
        share = (num_replies + _FIXED_REPLIES) / (nearest + _FIXED_REPLIES)
        return self._decode[nearest] * share

    def per_token(self, num_tokens: float, num_cells: int) -> float:
        """Of a step that reads so many; from the nearest size that was measured."""
        size = self._size_of(num_tokens)
        nearest = min(self._lines, key=lambda known: abs(known.bit_length() - size.bit_length()))
        return self._lines[nearest].at(num_cells)

    def num_within(self, seconds: float, num_cells: int) -> int:
        """Tokens that are read in that time."""
        fitting = [s for s in self._sizes if s * self.per_token(s, num_cells) <= seconds]
        return int(seconds / self.per_token(max(fitting, default=MIN_TOKENS), num_cells))

    def least(self, num_cells: int) -> int:
        """The smallest size that is known to cost as little as any."""
        return min(self._cheap(self._known(num_cells)))

    def economical(self, num_tokens: int, num_cells: int) -> int:
        """The number nearest to ``num_tokens`` whose tokens cost as little as any; rather more.

        Sizes that are not known, or not any more, are given a try: the larger ones first, until
        one is dear, since those below it will be, too.
        """
        known = self._known(num_cells)
        cheap = self._cheap(known)
        wanted = self._size_of(num_tokens)
        chosen = min((size for size in cheap if size >= wanted), default=_NO_SIZE)
        untried = self._untried(known, cheap)
        dear = [size for size in known if wanted <= size < chosen and size not in untried]
        if below := [size for size in untried if max(dear, default=wanted - 1) < size < chosen]:
            return max(num_tokens, *below)
        if untried and self._spent - self._looked_at >= _LOOK_EVERY:
            self._looked_at = self._spent
            return untried[-1]
        if chosen == _NO_SIZE:  # the largest steps below it
            return min(num_tokens, 2 * max(cheap) - 1)
        return max(num_tokens, chosen)

    def _known(self, num_cells: int) -> dict[int, float]:
        """Size -> seconds a token."""
        return {s: line.at(num_cells) for s, line in self._lines.items() if self._age(s) < _STALE}

    def _cheap(self, known: dict[int, float]) -> list[int]:
        least = min(known.values())
        return [size for size, cost in known.items() if cost <= _ABOUT_EQUAL * least]

    def _untried(self, known: dict[int, float], cheap: list[int]) -> list[int]:
        """Sizes to try, if a step of theirs will not take too long."""
        max_tokens = _LOOK_SECONDS / known[cheap[0]]
        others = [size for size in self._sizes if size not in cheap and size <= max_tokens]
        return [size for size in others if self._is_due(size, known)]

    def _is_due(self, size: int, known: dict[int, float]) -> bool:
        """It is not known, or may be tried again, though it was dear."""
        if size not in known:
            return True
        cost = min(known[size], _MAX_TIMES * min(known.values()))
        return _MAX_LOSS * self._age(size) >= size * cost

    def _age(self, size: int) -> float:
        """Seconds of reading since it was measured."""
        return self._spent - self._seen_at[size]

    def _add(self, size: int, num_cells: int, num_tokens: int, seconds: float) -> None:
        self._spent += seconds
        cost = seconds / num_tokens
        if not self._expects(size, num_cells, cost):
            self._lines[size] = _Line()
        self._lines[size].add(num_cells, cost)
        self._seen_at[size] = self._spent

    def _expects(self, size: int, num_cells: int, cost: float) -> bool:
        if size not in self._lines or self._age(size) >= _STALE:
            return False
        expected = self._lines[size].at(num_cells)
        return expected / _OTHER <= cost <= expected * _OTHER

    def _size_of(self, num_tokens: float) -> int:
        """The largest size that is not above it."""
        return max((size for size in self._sizes if size <= num_tokens), default=self._sizes[0])


def _sizes_up_to(max_tokens: int) -> list[int]:
    sizes = [min(MIN_TOKENS, max_tokens)]
    while 2 * sizes[-1] <= max_tokens:
        sizes.append(2 * sizes[-1])
    return sizes

"""What steps cost, by their prompt tokens: learnt from the finished ones.

Costs are in seconds, or in seconds a token. Prefill takes the time of a step that decode does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from operator import attrgetter

from bot.inference.core.sequence import Step

MIN_TOKENS = 16
"""Steps with fewer prompt tokens are not measured."""
FIRST_TOKENS = 64
"""Prompt tokens of a step before anything is measured: about the cheapest size on all CPUs seen."""
_NEVER = float("inf")

_SMOOTHING = 0.3
_MEMORY = 0.85
"""The weight that a measurement keeps when the next one of its size comes."""
_MIN_SPREAD = 128.0
"""Cells: where measurements lie closer together, noise would give the line its slope."""
_LEAST_SHARE = 0.25
"""Of the mean cost: it is never expected to be less, with however few cells."""
_OTHER = 2.0
"""More than twice or less than half the expected cost: the machine has changed since."""
_ABOUT_EQUAL = 1.08
"""Costs whose ratio is smaller count as equal."""

_MAX_LOSS = 0.06
"""The share of a prompt's prefill time that may be lost to trials of other sizes."""
_AGAIN = 0.02
"""The share of the prefill time for trying dear sizes again: it may have been a slow moment."""
_MAX_TIMES = 16.0
"""Times the least cost: the cost assumed for a small size of which nothing is known."""
_FIFTH = 0.2
"""Of the least cost: what another size may cost more, on the processors that were measured."""
_MAX_SECONDS = 2.0
"""The longest step that is tried only to measure its size."""
_FAR = 2
"""Times as many cells: costs may have changed from one size to another."""
_FIXED_REPLIES = 2
"""The fixed cost of a decode step, in replies."""


@dataclass(frozen=True, slots=True)
class SizeTrial:
    """A step size to try in a prompt of which at least ``num_left`` tokens are left."""

    size: int
    num_left: int


@dataclass(slots=True)
class _Line:
    """Seconds a token over the cells in use: a line fitted to the latest measurements.

    ``is_flat``: all were made at about the same number of cells, so the slope is not known.
    """

    mean_x: float = 0.0
    mean_y: float = 0.0
    variance: float = 0.0
    is_flat: bool = True
    _weight: float = 0.0
    _x: float = 0.0
    _y: float = 0.0
    _xx: float = 0.0
    _xy: float = 0.0

    def add(self, x: float, y: float) -> None:
        self._weight = self._weight * _MEMORY + 1
        self._x = self._x * _MEMORY + x
        self._y = self._y * _MEMORY + y
        self._xx = self._xx * _MEMORY + x * x
        self._xy = self._xy * _MEMORY + x * y
        self.mean_x, self.mean_y = self._x / self._weight, self._y / self._weight
        self.variance = self._xx / self._weight - self.mean_x**2
        self.is_flat = self.variance <= max(_MIN_SPREAD, 0.05 * self.mean_x) ** 2

    @property
    def slope(self) -> float:
        if self.is_flat:
            return 0.0
        covariance = self._xy / self._weight - self.mean_x * self.mean_y
        return max(0.0, covariance / self.variance)

    def at(self, x: float, slope: float | None = None) -> float:
        slope = self.slope if slope is None else slope
        return max(self.mean_y + slope * (x - self.mean_x), _LEAST_SHARE * self.mean_y)

    def compare(self, x: float, y: float) -> float:
        """``y`` as a multiple of the expected cost; 1 within the range of possible slopes."""
        least = self.at(x) * min(1.0, self._ratio(x))
        return y / least if y < least else max(1.0, y / self.at_most(x))

    def at_most(self, x: float) -> float:
        """If the slope is not known, the cost may grow as the cells do."""
        return self.at(x) * max(1.0, self._ratio(x))

    def _ratio(self, x: float) -> float:
        return x / self.mean_x if self.is_flat and self.mean_x else 1.0


class StepCosts:
    """What steps cost, by size. Only ``observe`` changes anything.

    ``max_tokens``: the most prompt tokens of one step. A size is a number of prompt tokens.
    ``is_known``: a prefill was measured.
    """

    def __init__(self, max_tokens: int) -> None:
        self.is_known = False
        self._sizes = [max(1, min(MIN_TOKENS, max_tokens))]
        while 2 * self._sizes[-1] <= max_tokens:
            self._sizes.append(2 * self._sizes[-1])
        self._lines: dict[int, _Line] = {}
        self._seen_at: dict[int, float] = {}
        self._first_seen_with = 0
        self._doubted_at: dict[int, float] = {}
        self._spent = self._rests_until = 0.0
        self._decode: dict[int, float] = {}
        self._found: dict[int, tuple[dict[int, float], dict[int, float]]] = {}

    def observe(self, step: Step, seconds: float, num_cells: int) -> None:
        """``num_cells``: cells in use after the step. Those with drafts say nothing of others."""
        num_decode, num_prefill = step.num_decode, step.num_prefill
        if step.num_draft:
            return
        if num_prefill == 0 and num_decode:
            known = self._decode.get(num_decode, seconds)
            self._decode[num_decode] = known + _SMOOTHING * (seconds - known)
        elif num_prefill >= MIN_TOKENS:
            prefill = max(seconds - self.decode(num_decode), 0.2 * seconds)
            self._add(self._size_of(num_prefill), num_cells, num_prefill, prefill)

    def decode(self, num_replies: int) -> float:
        """Seconds of a step without prefill, from the nearest number of replies measured."""
        if not self._decode or not num_replies:
            return 0.0
        nearest = min(self._decode, key=lambda number: abs(number - num_replies))
        share = (num_replies + _FIXED_REPLIES) / (nearest + _FIXED_REPLIES)
        return self._decode[nearest] * share

    def per_token(self, num_tokens: float, num_cells: int) -> float:
        """Seconds a prompt token in a step of that size, from the nearest size measured."""
        return self._per_size(num_cells)[self._size_of(num_tokens)]

    def num_within(self, seconds: float, num_cells: int) -> int:
        """Prompt tokens that are evaluated in so many seconds."""
        costs = self._per_size(num_cells)
        fitting = [size for size, cost in costs.items() if size * cost <= seconds]
        return int(seconds / costs[max(fitting, default=self._sizes[0])])

    def least(self, num_cells: int) -> int:
        """The smallest size that is known to cost the least."""
        return min(self._cheap(self._known(num_cells)))

    def economical(self, num_tokens: int, num_cells: int, for_shorter: float = 1.0) -> int:
        """The number nearest to ``num_tokens`` whose tokens cost the least; rather more tokens.

        Tokens of smaller sizes may cost ``for_shorter`` times the least.
        """
        known = self._known(num_cells)
        cheap, most = self._cheap(known), for_shorter * min(known.values())
        cheap += [size for size in known if size < min(cheap) and known[size] <= most]
        wanted = self._size_of(num_tokens)
        above = min((size for size in cheap if size >= wanted), default=_NEVER)
        below = max((size for size in cheap if size < wanted), default=0)
        if above * below > wanted * wanted:
            return min(num_tokens, below + below // 2)  # the replies' rows count, too
        return max(num_tokens, int(above))

    def shorter(self, num_tokens: int, seconds: float, num_cells: int, most: float) -> int:
        """``num_tokens``, or the size for a shorter step where these take more than ``seconds``.

        The cheapest one that does not, or the fastest of all if there is none; only sizes whose
        tokens cost at most ``most`` times the least. The smallest size of all may be, too, where
        none so small was ever measured.
        """
        times = {num_tokens: num_tokens * self.per_token(num_tokens, num_cells)}
        if times[num_tokens] <= seconds:
            return num_tokens
        known = self._known(num_cells)
        dearest = most * min(known.values())
        times |= {s: s * cost for s, cost in known.items() if s < num_tokens and cost <= dearest}
        within = [size for size in times if times[size] <= seconds]
        if within:
            return min(within, key=known.__getitem__)
        if (smallest := self._sizes[0]) < min(self._lines):
            times[smallest] = smallest * self.per_token(smallest, num_cells)
        return min(times, key=times.__getitem__)

    def trials(
        self, num_tokens: int, num_replies: int, num_cells: int, seconds: float = _MAX_SECONDS
    ) -> tuple[SizeTrial, ...]:
        """Sizes that may cost less than those in use, the nearest to ``num_tokens`` first.

        There are none until the loss of the last dear step is made good, without replies there
        are no small ones, and none of more than ``seconds`` but for the smallest. Before all
        others comes the size that is cheap everywhere, where nobody knows what it costs.
        """
        if FIRST_TOKENS in self._sizes and self._is_outdated(num_cells):
            return (SizeTrial(FIRST_TOKENS, 0),)
        if self._spent < self._rests_until:
            return ()
        known = self._known(num_cells)
        best, cheap = min(known.values()), self._cheap(known)
        found = []
        for size in self._sizes:
            cost = self._may_cost(size, num_replies, known)
            is_long = size > FIRST_TOKENS and size * cost > min(seconds, _MAX_SECONDS)
            is_small = size < FIRST_TOKENS and not num_replies
            line = self._lines.get(size)
            most = max(cost, line.at_most(num_cells)) if line else cost
            is_due = cost < known.get(size, _NEVER) or self._is_due(size, most)
            if size in cheap or is_long or is_small or not is_due:
                continue
            loss = size * max(0.0 if size in known else _FIFTH * best, most - best)
            found.append(SizeTrial(size, ceil(loss / (_MAX_LOSS * best))))
        wanted = self._size_of(num_tokens).bit_length()
        return tuple(sorted(found, key=lambda trial: abs(trial.size.bit_length() - wanted)))

    def _per_size(self, num_cells: int) -> dict[int, float]:
        """Size -> seconds a token, from the nearest size measured."""
        return self._at_cells(num_cells)[0]

    def _known(self, num_cells: int) -> dict[int, float]:
        """Size -> seconds a token, of those measured. Sizes between two cheap ones are cheap."""
        return self._at_cells(num_cells)[1]

    def _at_cells(self, num_cells: int) -> tuple[dict[int, float], dict[int, float]]:
        """``_per_size`` and ``_known``, which a step asks for a dozen times."""
        if num_cells not in self._found:
            both = self._find_per_size(num_cells), self._find_known(num_cells)
            self._found = {num_cells: both}
        return self._found[num_cells]

    def _find_per_size(self, num_cells: int) -> dict[int, float]:
        return {size: self._at(self._nearest(size), num_cells) for size in self._sizes}

    def _nearest(self, size: int) -> int:
        return min(self._lines, key=lambda known: abs(known.bit_length() - size.bit_length()))

    def _at(self, size: int, num_cells: int) -> float:
        """Seconds a token; a size without a slope takes that of the size measured best."""
        line = self._lines[size]
        best = max(self._lines.values(), key=attrgetter("variance")) if line.is_flat else line
        return line.at(num_cells, best.slope)

    def _find_known(self, num_cells: int) -> dict[int, float]:
        known = {size: self._at(size, num_cells) for size in sorted(self._lines)}
        cheap, below = self._cheap(known), 0
        for above in tuple(known):
            if below in cheap and above in cheap:
                known |= {size: known[below] for size in self._sizes if below < size < above}
            below = above
        return known

    def _cheap(self, known: dict[int, float]) -> list[int]:
        least = min(known.values())
        return [size for size, cost in known.items() if cost <= _ABOUT_EQUAL * least]

    def _may_cost(self, size: int, num_replies: int, known: dict[int, float]) -> float:
        """The lowest cost that the size may have, in seconds a token.

        A measurement far above the cost of a reply's token is not trusted.
        """
        below = max((other for other in known if other <= size), default=0)
        by_reply = self.decode(num_replies) / max(1, num_replies)
        if by_reply:
            return known[below] if below and known[below] <= _OTHER * by_reply else by_reply
        return known[below] if below else _MAX_TIMES * min(known.values())

    def _is_outdated(self, num_cells: int) -> bool:
        """Whether the size that is cheap everywhere was not measured with about so many cells.

        Smaller ones may be much dearer there.
        """
        is_known = FIRST_TOKENS in self._lines
        return not is_known or num_cells > _FAR * self._first_seen_with

    def _is_due(self, size: int, cost: float) -> bool:
        """Whether the size was not measured, or so long ago that it may be tried again."""
        if size not in self._lines:
            return True
        return _AGAIN * (self._spent - self._seen_at[size]) >= size * cost

    def _add(self, size: int, num_cells: int, num_tokens: int, seconds: float) -> None:
        """Nothing is tried again until the step's loss is small beside the prefill since."""
        self._spent += seconds
        self._found = {}
        cost = seconds / num_tokens
        line = self._lines.get(size)
        times = line.compare(num_cells, cost) if line else 1.0
        if times > _OTHER and size not in self._doubted_at:  # it may have been a slow moment
            self._doubted_at[size] = self._spent
        else:
            doubted_at = self._doubted_at.pop(size, self._seen_at.get(size, 0.0))
            if not 1 / _OTHER <= times <= _OTHER:
                self._forget_before(doubted_at)
            self._lines.setdefault(size, _Line()).add(num_cells, cost)
            self._seen_at[size] = self._spent
            if size == FIRST_TOKENS:
                self._first_seen_with = num_cells
            self.is_known = True
        best = min(self._known(num_cells).values())
        if cost > _ABOUT_EQUAL * best:
            lost = num_tokens * (cost - best)
            self._rests_until = max(self._rests_until, self._spent + lost / _MAX_LOSS)

    def _forget_before(self, spent: float) -> None:
        """Forget the sizes that were last measured before the machine changed."""
        for size in [size for size in self._lines if self._seen_at[size] <= spent]:
            del self._lines[size]
        self._rests_until = self._spent

    def _size_of(self, num_tokens: float) -> int:
        """The largest size of at most ``num_tokens``."""
        return max((size for size in self._sizes if size <= num_tokens), default=self._sizes[0])

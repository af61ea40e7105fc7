"""How many prompt tokens a step may carry: short steps beside replies, but never dear ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil

from bot.inference.core.sequence import Step

MIN_TOKENS = 16
"""Steps that read fewer tell nothing about what a token costs."""
FIRST_TOKENS = 64
"""Of a step while nothing is known: cheap, or nearly, on every processor that was ever seen."""
_SMOOTHING = 0.3
_MEMORY = 0.85
"""What a measurement still weighs when the next one of its size has come."""
_OTHER = 2.0
"""Times as long as expected, twice, or as short: then it is another machine now, so to say."""
_ABOUT_EQUAL = 1.08
"""Costs that differ by less count as the same."""
_MAX_LOSS = 0.06
"""Of the time that a prompt takes, for trying sizes in it."""
_AGAIN = 0.02
"""Of the time for reading, for trying again what was dear: it may have been a slow moment."""
_MAX_TIMES = 16.0
"""Times the best is what a small step may cost of which nothing is known."""
_FIFTH = 0.2
"""Of the best is what any other size may cost more, on processors that were seen."""
_MAX_SECONDS = 2.0
"""Of a step that is a mere trial."""
_NEVER = float("inf")
_FIXED_REPLIES = 2
"""What a step costs however few replies go on in it, measured in replies."""


@dataclass(frozen=True, slots=True)
class SizeTrial:
    """A size worth a try in a prompt of which at least ``num_left`` tokens are left."""

    size: int
    num_left: int


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

    @property
    def mean_x(self) -> float:
        return self._x / self._weight

    @property
    def variance(self) -> float:
        return self._xx / self._weight - self.mean_x**2

    @property
    def is_flat(self) -> bool:
        """It was measured in one place only: nobody knows its slope."""
        return self.variance <= (0.05 * self.mean_x) ** 2

    def at(self, x: float) -> float:
        mean_y = self._y / self._weight
        if self.is_flat:
            return mean_y
        slope = max(0.0, (self._xy / self._weight - self.mean_x * mean_y) / self.variance)
        return max(mean_y + slope * (x - self.mean_x), 0.1 * mean_y)

    def compare(self, x: float, y: float) -> float:
        """Times as long as expected; without a slope, as anything between none and all of it."""
        ratio = x / self.mean_x if self.is_flat and self.mean_x else 1.0
        least, most = self.at(x) * min(1.0, ratio), self.at(x) * max(1.0, ratio)
        return y / least if y < least else max(1.0, y / most)


class StepCosts:
    """``max_tokens``: of prompts that one step may read. Only ``observe`` changes anything."""

    def __init__(self, max_tokens: int) -> None:
        self._sizes = _sizes_up_to(max_tokens)
        self._lines: dict[int, _Line] = {}
        self._seen_at: dict[int, float] = {}
        self._doubted_at: dict[int, float] = {}
        self._spent = self._rests_until = 0.0
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
        return self._at(nearest, num_cells)

    def num_within(self, seconds: float, num_cells: int) -> int:
        """Tokens that are read in that time."""
        fitting = [s for s in self._sizes if s * self.per_token(s, num_cells) <= seconds]
        return int(seconds / self.per_token(max(fitting, default=MIN_TOKENS), num_cells))

    def least(self, num_cells: int) -> int:
        """The smallest size that is known to cost as little as any."""
        return min(self._cheap(self._known(num_cells)))

    def economical(self, num_tokens: int, num_cells: int, for_shorter: float = 1.0) -> int:
        """The number nearest to ``num_tokens`` whose tokens cost as little as any; rather more.

        ``for_shorter``: times the least may the tokens of smaller sizes than those cost.
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

    def trials(self, num_tokens: int, num_replies: int, num_cells: int) -> tuple[SizeTrial, ...]:
        """Sizes that may be better than those in use, the ones nearest to ``num_tokens`` first.

        None as long as the last dear step is still felt, and beside nobody no small ones.
        """
        if FIRST_TOKENS in self._sizes and FIRST_TOKENS not in self._lines:
            return (SizeTrial(FIRST_TOKENS, 0),)
        if self._spent < self._rests_until:
            return ()
        known = self._known(num_cells)
        best, cheap = min(known.values()), self._cheap(known)
        found = []
        for size in self._sizes:
            cost = self._may_cost(size, num_replies, known)
            is_long = size > FIRST_TOKENS and size * cost > _MAX_SECONDS
            is_small = size < FIRST_TOKENS and not num_replies
            is_due = cost < known.get(size, _NEVER) or self._is_due(size, cost)
            if size in cheap or is_long or is_small or not is_due:
                continue
            loss = size * max(0.0 if size in known else _FIFTH * best, cost - best)
            found.append(SizeTrial(size, ceil(loss / (_MAX_LOSS * best))))
        wanted = self._size_of(num_tokens).bit_length()
        return tuple(sorted(found, key=lambda trial: abs(trial.size.bit_length() - wanted)))

    def _at(self, size: int, num_cells: int) -> float:
        """A size without a slope has that of the one of which most is known."""
        line = self._lines[size]
        if not line.is_flat:
            return line.at(num_cells)
        other = max(self._lines.values(), key=lambda known: known.variance)
        return line.at(num_cells) * other.at(num_cells) / other.at(line.mean_x)

    def _known(self, num_cells: int) -> dict[int, float]:
        """Size -> seconds a token. What lies between two that are cheap is as they are."""
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
        """Seconds a token. What was measured at far more than a reply's token is not believed."""
        below = max((other for other in known if other <= size), default=0)
        by_reply = self.decoding(num_replies) / max(1, num_replies)
        if by_reply:
            return known[below] if below and known[below] <= _OTHER * by_reply else by_reply
        return known[below] if below else _MAX_TIMES * min(known.values())

    def _is_due(self, size: int, cost: float) -> bool:
        """It is not known, or may be tried again, though it was dear."""
        return size not in self._lines or _AGAIN * self._age(size) >= size * cost

    def _age(self, size: int) -> float:
        """Seconds of reading since it was measured."""
        return self._spent - self._seen_at[size]

    def _add(self, size: int, num_cells: int, num_tokens: int, seconds: float) -> None:
        self._spent += seconds
        cost = seconds / num_tokens
        line = self._lines.get(size)
        times = line.compare(num_cells, cost) if line else 1.0
        if times > _OTHER and size not in self._doubted_at:  # it may have been a slow moment
            self._doubted_at[size] = self._spent
            self._rest_after(num_tokens, cost, num_cells)
            return
        doubted_at = self._doubted_at.pop(size, self._seen_at.get(size, 0.0))
        if not 1 / _OTHER <= times <= _OTHER:
            self._forget_before(doubted_at)
        self._lines.setdefault(size, _Line()).add(num_cells, cost)
        self._seen_at[size] = self._spent
        self._rest_after(num_tokens, cost, num_cells)

    def _rest_after(self, num_tokens: int, cost: float, num_cells: int) -> None:
        """Nothing is tried until what the step lost is little beside what was read since."""
        best = min(self._known(num_cells).values())
        if cost > _ABOUT_EQUAL * best:
            lost = num_tokens * (cost - best)
            self._rests_until = max(self._rests_until, self._spent + lost / _MAX_LOSS)

    def _forget_before(self, spent: float) -> None:
        """What was measured until then was measured on another machine, so to say."""
        for size in [size for size in self._lines if self._seen_at[size] <= spent]:
            del self._lines[size]
        self._rests_until = self._spent

    def _size_of(self, num_tokens: float) -> int:
        """The largest size that is not above it."""
        return max((size for size in self._sizes if size <= num_tokens), default=self._sizes[0])


def _sizes_up_to(max_tokens: int) -> list[int]:
    sizes = [min(MIN_TOKENS, max_tokens)]
    while 2 * sizes[-1] <= max_tokens:
        sizes.append(2 * sizes[-1])
    return sizes


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
    ``alone``. ``whole``: of prompts for which replies wait; ``pause``: of those for which replies
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
    pause: int = 0
    is_owed: bool = False
    full: int = 0
    least: int = 0
    trials: tuple[SizeTrial, ...] = ()

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
            pause=costs.num_within(_HOLD_SECONDS, num_cells),
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

"""Layout: into which lanes the cells are divided, for the sequences that are to run. Pure.

A lane is evaluated in one pass over the weights, and every sequence in it pays for attention over
as many cells as the longest has. So sequences of like length share a lane.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, count, pairwise

from bot.inference.core.lanes import MAX_STREAMS, Lane, Lanes, round_up

_MAX_LANES = 3
"""Lanes with sequences; one more may hold the cells that are left over."""
_FEW = 4
"""Streams so long that fewer fit are not made for sequences that may come."""


@dataclass(frozen=True, slots=True)
class Budget:
    """``num_cells`` for all lanes, ``max_streams`` in them; ``pass_cells``: see ``Model``.

    ``base`` is the length that all streams have where they are equally long, and ``longest`` what
    the longest sequence takes.
    """

    num_cells: int
    max_streams: int
    base: int
    longest: int
    pass_cells: int


@dataclass(frozen=True, slots=True)
class Arrangement:
    """``lanes``, and the lane of each sequence, in the order of their needs."""

    lanes: Lanes
    assigned: tuple[Lane, ...]


def arrange(needs: Sequence[int], budget: Budget, current: Lanes = ()) -> Arrangement | None:
    """Lanes in which each sequence has the cells that it needs; None where they do not fit.

    Streams have lengths in powers of two, so that sequences can grow and lanes stay; where these
    do not fit, the streams are as short as the sequences allow. More lanes than three would use
    the cells up, but then every step would pay for so many passes.
    ``current`` lanes stay if they can; new ones get slots that none of them has.
    """
    order = sorted(range(len(needs)), key=needs.__getitem__)
    for size_of in (lambda need: _power_of_two(need, budget), round_up):
        groups = _best_groups(needs, order, budget, size_of)
        if groups is not None:
            break
    else:
        return None
    sizes = [(size_of(needs[group[-1]]), len(group)) for group in groups]
    lanes = _lanes(sizes, budget, current)
    assigned: dict[int, Lane] = {}
    for group, lane in zip(groups, lanes, strict=False):
        assigned |= dict.fromkeys(group, lane)
    return Arrangement(lanes, tuple(assigned[index] for index in range(len(needs))))


def arrange_alone(need: int, budget: Budget, current: Lanes = ()) -> Arrangement:
    """One stream with flash attention for a sequence that is alone, and short ones for others."""
    size = _power_of_two(need, budget)
    firsts = _free_firsts(current)
    like = Lane(next(firsts), 1, size, is_flash=True)
    lane = next((lane for lane in current if _is_like(lane, like)), like)
    others = min(budget.max_streams - 1, (budget.num_cells - size) // budget.base)
    return Arrangement((lane, *_spare(others, budget, current, firsts)), ())


def _power_of_two(need: int, budget: Budget) -> int:
    size = budget.base
    while size < need:
        size *= 2
    return min(size, max(round_up(need), budget.longest))


def _best_groups(
    needs: Sequence[int], order: Sequence[int], budget: Budget, size_of: Callable[[int], int]
) -> list[list[int]] | None:
    """The groups that cost the least in a step, shortest first, among those that fit."""
    best: tuple[int, list[list[int]]] | None = None
    for groups in _groupings(order, [size_of(needs[index]) for index in order]):
        longest = [needs[group[-1]] for group in groups]
        each = list(zip(groups, longest, strict=True))
        if sum(len(group) * size_of(most) for group, most in each) > budget.num_cells:
            continue
        if any(len(group) > MAX_STREAMS for group in groups):
            continue
        cost = sum(budget.pass_cells + len(group) * most for group, most in each)
        if best is None or cost < best[0]:
            best = cost, groups
    return best[1] if best else None


def _groupings(order: Sequence[int], sizes: Sequence[int]) -> Iterator[list[list[int]]]:
    """Cuts ``order`` between different ``sizes``, into at most three groups."""
    places = [at for at in range(1, len(order)) if sizes[at] != sizes[at - 1]]
    for num_cuts in range(min(len(places), _MAX_LANES - 1) + 1):
        for cuts in combinations(places, num_cuts):
            bounds = [0, *cuts, len(order)]
            yield [list(order[a:b]) for a, b in pairwise(bounds)]


def _lanes(sizes: list[tuple[int, int]], budget: Budget, current: Lanes) -> Lanes:
    """A lane for each ``(stream_cells, num_streams)``, and what is left over for later ones."""
    kept = _kept(sizes, budget, current)
    left = budget.num_cells - sum(
        lane.num_cells if (lane := kept.get(size)) else size * number for size, number in sizes
    )
    spare = budget.max_streams - sum(number for _, number in sizes)
    counts = dict(sizes)
    size, _ = sizes[0]
    if size not in kept and size * _FEW <= budget.num_cells:
        more = max(0, min(spare, left // size, MAX_STREAMS - counts[size]))
        counts[size] += more
        left, spare = left - more * size, spare - more
    firsts = _free_firsts(current)
    lanes = [kept.get(size) or Lane(next(firsts), counts[size], size) for size, _ in sizes]
    if budget.base not in counts:
        lanes += _spare(min(spare, left // budget.base), budget, current, firsts)
    return tuple(lanes)


def _spare(number: int, budget: Budget, current: Lanes, firsts: Iterator[int]) -> list[Lane]:
    """A lane of streams for those that may come, if there is one."""
    if number <= 0:
        return []
    lane = Lane(next(firsts), number, budget.base)
    return [next((old for old in current if _is_like(old, lane)), lane)]


def _is_like(one: Lane, other: Lane) -> bool:
    return replace(one, first=0) == replace(other, first=0)


def _kept(sizes: list[tuple[int, int]], budget: Budget, current: Lanes) -> dict[int, Lane]:
    """Current lanes that have enough streams of a length, as far as all lanes fit then."""
    kept: dict[int, Lane] = {}
    total = sum(size * number for size, number in sizes)
    for size, number in sizes:
        for lane in current:
            more = lane.num_cells - size * number
            fits = more >= 0 and total + more <= budget.num_cells
            if lane.stream_cells == size and fits and not lane.is_flash:
                kept[size] = lane
                total += more
                break
    return kept


def _free_firsts(current: Lanes) -> Iterator[int]:
    taken = {lane.first for lane in current}
    return (first for first in count(0, MAX_STREAMS) if first not in taken)

"""Bounded numbers: how many decimals they may have, and every way to write them."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from bot.inference.grammar.keywords import Demands, types

_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_MOST = 9
_STEP = 10**-_MOST


def apart_from_zero(demands: Demands) -> Demands:
    """With a number next to 0 as the bound, where a bound of 0 is exclusive.

    llguidance admits 0 there if all numbers are within 1 of it.
    """
    for sign, near, far in ((1, "Minimum", "Maximum"), (-1, "Maximum", "Minimum")):
        reach = min(sign * demands.get(key, sign) for key in (far.lower(), f"exclusive{far}"))
        if demands.get(f"exclusive{near}") != 0 or not 0 < reach < 1:
            continue
        least = _STEP if reach > _STEP else reach / 1_000
        nearest = max(sign * demands.get(near.lower(), 0), least)
        rest = {key: value for key, value in demands.items() if key != f"exclusive{near}"}
        demands = {**rest, near.lower(): sign * nearest}
    return demands


def in_decimals(demands: Demands) -> Demands:
    """With as many decimals as a number between these bounds can need."""
    bounds = [demands[key] for key in _BOUNDS if key in demands]
    if not bounds or "multipleOf" in demands or "integer" in types(demands):
        return demands
    if any(bound != round(bound, _MOST) for bound in bounds):
        return demands
    return {**demands, "multipleOf": _STEP}


def coarser(demands: Demands) -> list[Demands]:
    """The same numbers in steps with fewer decimals than their bounds have.

    llguidance takes ``-6.30`` above -6.31, but ``-6.3`` only where the bound is -6.3, too.
    """
    is_stepped = demands.get("multipleOf") == _STEP and "number" in types(demands)
    if not is_stepped or {"enum", "const"} & demands.keys():
        return []
    bounds = [Decimal(repr(demands[key])) for key in _BOUNDS if key in demands]
    most = max(-int(bound.normalize().as_tuple().exponent) for bound in bounds)
    return [found for places in range(most + 1) for found in _in_steps(demands, places)]


def _in_steps(demands: Demands, places: int) -> Iterator[Demands]:
    """What the bounds leave of the numbers with so many decimals."""
    step = Decimal(1).scaleb(-places)
    found: dict[str, Decimal] = {}
    for key, nearest in (("minimum", max), ("maximum", min)):
        ends = [
            _end(Decimal(repr(demands[name])), name, step)
            for name in (key, f"exclusive{key.title()}")
            if name in demands
        ]
        if ends:
            found[key] = nearest(ends)
    if len(found) < 2 or found["minimum"] < found["maximum"]:
        ends_in_floats = {key: float(end) for key, end in found.items()}
        yield {"type": ["number"], "multipleOf": float(step), **ends_in_floats}
    elif found["minimum"] == found["maximum"]:
        yield {"enum": [float(found["minimum"])]}


def _end(bound: Decimal, name: str, step: Decimal) -> Decimal:
    """The first number in such steps that the bound allows."""
    is_low = name.endswith("inimum")
    nearest = bound.quantize(step, ROUND_CEILING if is_low else ROUND_FLOOR)
    if name.startswith("exclusive") and nearest == bound:
        nearest += step if is_low else -step
    return nearest

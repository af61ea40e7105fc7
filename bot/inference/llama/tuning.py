"""Chooses attention, KV layout, micro-batch and threads from what was measured with a model."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self, TypeVar

from bot.inference.llama.options import Attention, KVLayout, LlamaOptions

DEPTH = 960
"""Tokens before those that are measured."""
STREAM_CELLS = 1_280
"""Cells of a reply that is measured: its depth, and the steps that follow."""
_MAX_REPLIES = 8
CPU_DEFAULT = Attention.PLAIN, KVLayout.STREAMS
_CLEARLY = 1.02
"""How much faster than the default another candidate must be, since machines are noisy."""
_NUM_ROUNDS = 2
_CALM = 0.8
"""Share of the processors' time below which other processes decide what seems to be fast."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TuningSpace:
    """The values of options that a measurement may choose from; the first ones are proved."""

    attention: tuple[Attention, ...]
    kv_layout: tuple[KVLayout, ...]
    max_ubatch: tuple[int, ...]
    num_threads: tuple[int, ...]

    @classmethod
    def only(cls, options: LlamaOptions) -> Self:
        """Those of ``options``, so that there is nothing to choose."""
        return cls(**{each.name: (getattr(options, each.name),) for each in fields(cls)})

    @classmethod
    def of_json(cls, read: Mapping[str, Sequence[Any]]) -> Self:
        return cls(
            tuple(map(Attention, read["attention"])),
            tuple(map(KVLayout, read["kv_layout"])),
            tuple(read["max_ubatch"]),
            tuple(read["num_threads"]),
        )

    @property
    def is_choice(self) -> bool:
        return any(len(getattr(self, each.name)) > 1 for each in fields(self))


@dataclass(frozen=True, slots=True)
class Figure:
    """What a candidate does, in tokens a second: at depth one reply, several, and a prompt.

    ``begun_alone``, ``begun_together``: replies with nothing before them. ``prefill`` is 0 where
    prompts were not measured, since they take too long.
    """

    attention: Attention
    kv_layout: KVLayout
    num_threads: int
    alone: float
    together: float
    begun_alone: float
    begun_together: float
    prefill: float = 0

    @classmethod
    def of_json(cls, read: Mapping[str, Any]) -> Self:
        layout = Attention(read["attention"]), KVLayout(read["kv_layout"])
        return cls(*layout, *(read[each.name] for each in fields(cls)[2:]))

    @property
    def speed(self) -> float:
        """The geometric mean."""
        return math.exp(math.fsum(map(math.log, self._figures)) / len(self._figures))

    @property
    def _figures(self) -> tuple[float, ...]:
        deep, begun = (self.alone, self.together), (self.begun_alone, self.begun_together)
        return (*deep, *begun, *([self.prefill] * bool(self.prefill)))


@dataclass(frozen=True, slots=True)
class Tuning:
    """What was measured with ``num_replies`` replies of ``depth`` tokens.

    ``choice``: options and their values, nothing where a ``fault`` ended the measurement.
    ``share``: how much of the processors' time it got, 1 where nothing else computed.
    """

    choice: Mapping[str, Any]
    figures: tuple[Figure, ...] = ()
    num_replies: int = 0
    depth: int = 0
    fault: str = ""
    share: float = 1.0

    @property
    def is_disturbed(self) -> bool:
        """Whether it tells of other processes: then the default is used, and nothing is kept."""
        return self.share < _CALM

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """What ``to_text`` wrote; None for anything else."""
        try:
            read = json.loads(text)["tuning"]
            figures = tuple(map(Figure.of_json, read["figures"]))
            return cls(**{**read, "choice": _choice_of_json(read["choice"]), "figures": figures})
        except (ValueError, TypeError, LookupError):
            return None

    def to_text(self) -> str:
        return json.dumps({"tuning": asdict(self)})

    def options(self, base: LlamaOptions) -> LlamaOptions:
        return replace(base, **self.choice)


def _choice_of_json(read: Mapping[str, Any]) -> dict[str, Any]:
    kinds = {"attention": Attention, "kv_layout": KVLayout, "flash_prefill": bool}
    return {name: kinds.get(name, int)(value) for name, value in read.items()}


def num_replies(options: LlamaOptions) -> int:
    """How many replies are measured at once: 0 if not even one fits into the pool."""
    return min(_MAX_REPLIES, options.max_running, options.num_cells // STREAM_CELLS)


def race(
    candidates: Sequence[T], default: T, measure: Callable[[T], None], speed: Callable[[T], float]
) -> T:
    """Measure all, if there are several: the fastest, or the default unless it is clearly slower.

    One that beats the default must do so again, in further rounds of the two.
    """
    if len(candidates) == 1:
        return candidates[0]
    for each in candidates:
        measure(each)
    for _ in range(_NUM_ROUNDS):
        best = _fastest(candidates, default, speed)
        if best == default:
            break
        measure(default)
        measure(best)
    return _fastest(candidates, default, speed)


def _fastest(candidates: Sequence[T], default: T, speed: Callable[[T], float]) -> T:
    return max(candidates, key=lambda each: speed(each) * (_CLEARLY if each == default else 1))

"""What is asked and checked: frozen values. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

CheckKind = Literal[
    "contains",
    "not-contains",
    "regex",
    "is-json",
    "schema",
    "equals",
    "not-equals",
    "one-of",
    "judge",
    "quoted",
    "max-tokens",
    "max-seconds",
]

LIMITS: frozenset[CheckKind] = frozenset({"max-tokens", "max-seconds"})
"""They are reported, and an answer does not fail for them: a busy machine is no prompt's fault."""


@dataclass(frozen=True, slots=True)
class AnswerCheck:
    """``expected``: texts, of which ``contains`` needs all and ``one-of`` one; an expression; a
    JSON schema as JSON text; a rubric; a number. Of ``quoted`` the texts that may be quoted.
    """

    kind: CheckKind
    expected: tuple[str, ...] = ()

    @property
    def is_limit(self) -> bool:
        return self.kind in LIMITS


@dataclass(frozen=True, slots=True)
class EvalTurn:
    """``answer``: what stands there for the model's own, which is not asked for then."""

    question: str
    answer: str | None = None
    checks: tuple[AnswerCheck, ...] = ()


@dataclass(frozen=True, slots=True)
class EvalCase:
    """One thread. ``personalities``: those that it is for; empty: all that the file names."""

    name: str
    turns: tuple[EvalTurn, ...]
    personalities: tuple[str, ...] = ()

    @property
    def is_judged(self) -> bool:
        return any(check.kind == "judge" for turn in self.turns for check in turn.checks)

    @property
    def fingerprint(self) -> str:
        """The same for the same questions and checks; limits are none of that."""
        turns = [
            (turn.question, turn.answer, [asdict(c) for c in turn.checks if not c.is_limit])
            for turn in self.turns
        ]
        return hashlib.sha256(json.dumps(turns).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class EvalEngine:
    """An OpenAI-compatible server. ``model`` empty: its first; ``key`` may be empty."""

    name: str
    url: str
    model: str = ""
    key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, order=True)
class Variant:
    """Who answers: a personality with a model of its own, with ``model``, or at ``engine``."""

    engine: str = ""
    model: str = ""
    personality: str = ""

    def __str__(self) -> str:
        return " · ".join(filter(None, (self.personality, self.model, self.engine)))


@dataclass(frozen=True, slots=True)
class EvalSampling:
    """What holds for all questions; None: as the personality has it.

    ``seed``: of the first time that a case is asked; the next times have the ones above it.
    """

    temperature: float | None = None
    seed: int | None = None
    max_tokens: int | None = None

    def chosen(self, number: int) -> dict[str, Any]:
        """Fields of ``Sampling``, for the time ``number``, which counts from 0."""
        seed = None if self.seed is None else self.seed + number
        fields = {"temperature": self.temperature, "seed": seed}
        return {name: value for name, value in fields.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalSet:
    """A file. Each case is asked ``repeat`` times of each variant.

    ``models`` and ``engines`` empty: the personality's own model. ``judge``: who judges, a model or
    the name of an engine; empty: the default model.
    """

    title: str
    cases: tuple[EvalCase, ...]
    personalities: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    engines: tuple[EvalEngine, ...] = ()
    sampling: EvalSampling = EvalSampling()
    repeat: int = 1
    judge: str = ""

    def engine(self, name: str) -> EvalEngine:
        return next(each for each in self.engines if each.name == name)

    def asked(self, default: str) -> list[tuple[Variant, EvalCase]]:
        """Each variant with its cases, those of one model together."""
        named = self.personalities or (default,)
        hosts = [Variant(model=model) for model in self.models]
        hosts += [Variant(engine=engine.name, model=engine.model) for engine in self.engines]
        return [
            (Variant(host.engine, host.model, personality), case)
            for host in hosts or [Variant()]
            for personality in _in_order(case.personalities or named for case in self.cases)
            for case in self.cases
            if personality in (case.personalities or named)
        ]


def _in_order(groups: Iterable[Sequence[str]]) -> list[str]:
    return list(dict.fromkeys(name for names in groups for name in names))


def narrowed(cases: Sequence[EvalCase], personalities: Sequence[str]) -> tuple[EvalCase, ...]:
    """The cases that are for one of these, and for no others; those that name none are for all."""
    kept = []
    for case in cases:
        wanted = tuple(p for p in case.personalities or personalities if p in personalities)
        if wanted:
            kept.append(EvalCase(case.name, case.turns, wanted))
    return tuple(kept)

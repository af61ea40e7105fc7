"""Tokens in the KV pool that can be reused: idle threads, and shared prefixes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from bot.inference.core.sequence import common_length

MIN_PREFIX = 32
"""Tokens; to evaluate fewer again costs less than to keep them."""


@dataclass(slots=True, eq=False)
class CachedTokens:
    """The evaluated ``tokens`` of ``slot``: an idle thread, or a shared prefix.

    A shared prefix was last used at ``tick``. ``is_common``: it is not a system prompt, but a
    beginning that two questions happened to have in common.
    """

    slot: int
    scope: str
    thread: str | None
    tokens: list[int]
    tick: int = 0
    is_common: bool = False


class Evaluated(Protocol):
    """Evaluated tokens of a thread."""

    scope: str
    thread: str | None
    tokens: list[int]


K = TypeVar("K", bound=Evaluated)


class ThreadIndex(Generic[K]):
    """Idle threads in order of last use. A thread is found by its name, else by its text."""

    def __init__(self) -> None:
        self.num_changes = 0
        self._all: dict[int, K] = {}
        self._by_name: dict[tuple[str, str], K] = {}

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[K]:
        """Least recently used first; they may be removed during the iteration."""
        return iter(list(self._all.values()))

    def __contains__(self, kept: object) -> bool:
        return id(kept) in self._all

    def add(self, kept: K) -> K | None:
        """Add as the most recently used; returns the thread's older entry, which it replaces."""
        self.num_changes += 1
        older = self.named(kept.scope, kept.thread)
        if older is not None:
            self.remove(older)
        self._all[id(kept)] = kept
        if kept.thread is not None:
            self._by_name[kept.scope, kept.thread] = kept
        return older

    def touch(self, kept: K) -> None:
        """Make it the most recently used."""
        self.num_changes += 1
        self._all[id(kept)] = self._all.pop(id(kept))

    def remove(self, kept: K) -> None:
        self.num_changes += 1
        del self._all[id(kept)]
        if kept.thread is not None:
            del self._by_name[kept.scope, kept.thread]

    def named(self, scope: str, thread: str | None) -> K | None:
        return self._by_name.get((scope, thread)) if thread is not None else None

    def match(
        self, scope: str, thread: str | None, tokens: list[int], num_prefix: int
    ) -> tuple[K, int] | None:
        """The entry to resume from, and the length of the common prefix.

        A thread with a name resumes from its own entry. Text without a name resumes from the
        entry with the longest common prefix, if that is more than half of what follows the
        first ``num_prefix`` tokens: the same system prompt alone does not make the same thread.
        """
        if thread is not None:
            own = self.named(scope, thread)
            return (own, common_length(own.tokens, tokens)) if own else None
        nameless = (k for k in self._all.values() if k.thread is None and k.scope == scope)
        found = ((kept, common_length(kept.tokens, tokens)) for kept in nameless)
        best = max(found, key=lambda pair: pair[1], default=None)
        if best is None:
            return None
        kept, common = best
        return best if 2 * (common - num_prefix) > len(kept.tokens) - num_prefix else None


class SharedPrefixes:
    """Shared prefixes, each in its own slot, and those that are being evaluated now."""

    def __init__(self) -> None:
        self.num_changes = 0
        self._ready: dict[tuple[str, tuple[int, ...]], CachedTokens] = {}
        self._pending: dict[tuple[str, tuple[int, ...]], int] = {}
        self._tick = 0

    def __len__(self) -> int:
        return len(self._ready)

    def __iter__(self) -> Iterator[CachedTokens]:
        """Least recently used first."""
        return iter(sorted(self._ready.values(), key=lambda r: r.tick))

    def find(self, scope: str, tokens: list[int]) -> CachedTokens | None:
        found = self._ready.get((scope, tuple(tokens)))
        if found:
            self._tick += 1
            found.tick = self._tick
        return found

    def find_longest(self, scope: str, tokens: list[int]) -> CachedTokens | None:
        """The longest shared prefix of ``tokens``."""
        fitting = (
            prefix.tokens
            for prefix in self._ready.values()
            if prefix.scope == scope and prefix.tokens == tokens[: len(prefix.tokens)]
        )
        longest = max(fitting, key=len, default=None)
        return None if longest is None else self.find(scope, longest)

    def add(self, cached: CachedTokens) -> None:
        self.num_changes += 1
        self._tick += 1
        cached.tick = self._tick
        key = cached.scope, tuple(cached.tokens)
        self._pending.pop(key, None)
        self._ready[key] = cached

    def remove(self, cached: CachedTokens) -> None:
        self.num_changes += 1
        del self._ready[cached.scope, tuple(cached.tokens)]

    def begin(self, scope: str, tokens: list[int], sequence_id: int) -> None:
        """``sequence_id`` evaluates the prefix; others wait instead of evaluating it, too."""
        self._pending[scope, tuple(tokens)] = sequence_id

    def give_up(self, sequence_id: int) -> None:
        """The sequence ended or lost its slot before its prefix was evaluated."""
        self._pending = {k: v for k, v in self._pending.items() if v != sequence_id}

    def is_pending_by(self, sequence_id: int) -> bool:
        """Whether the sequence evaluates a prefix."""
        return sequence_id in self._pending.values()

    def pending_by(self, scope: str, tokens: list[int]) -> int | None:
        """The id of the sequence that evaluates the prefix."""
        return self._pending.get((scope, tuple(tokens)))

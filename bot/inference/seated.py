"""Who has a slot, and who of them begins like another."""

from __future__ import annotations

from collections.abc import Container, Iterator

from bot.inference.core.sequence import Sequence, common_length
from bot.inference.finding import MIN_COMMON, system_prompt
from bot.inference.kv import KVPool


class Seated:
    """Running sequences by id."""

    def __init__(self, pool: KVPool) -> None:
        self._pool = pool
        self._by_id: dict[int, Sequence] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def add(self, sequence: Sequence) -> None:
        self._by_id[sequence.id] = sequence

    def remove(self, sequence: Sequence) -> None:
        del self._by_id[sequence.id]

    @property
    def num_prefixes(self) -> int:
        """Shared prefixes that they use."""
        used = {self._pool.prefix_of(sequence.seat) for sequence in self._by_id.values()}
        return len(used - {None})

    def is_as_urgent(self, sequence_id: int, as_another: Sequence) -> bool:
        return as_another.is_background or not self._by_id[sequence_id].is_background

    def twins(self, sequence: Sequence, but: Container[int] = ()) -> Iterator[tuple[Sequence, int]]:
        """Who shares nothing and begins alike, with the number of tokens; not the slots ``but``."""
        for other in self._by_id.values():
            if other.scope == sequence.scope and other.seat not in but and self._is_alone(other):
                common = common_length(other.tokens[: other.num_prompt], sequence.tokens)
                if common >= MIN_COMMON:
                    yield other, common

    def _is_alone(self, sequence: Sequence) -> bool:
        return not system_prompt(sequence) and not self._pool.num_shared(sequence.seat)

"""What is cached of sequences, and how they begin with it, whatever the layout of the cells.

A sequence resumes from its thread's cells, from its saved state or from a shared prefix. The
manager decides what is kept and what is evicted, and collects the model's part as actions in
their order. Running sequences are never evicted here (see Scheduler). ``UnifiedKVCache`` and
``StreamKVCache`` say where cells are.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Container, Iterable, Iterator

from bot.inference.core.saved_state import SavedState
from bot.inference.core.sequence import (
    Action,
    Opening,
    Restore,
    Sequence,
    Share,
    Trim,
    common_length,
)
from bot.inference.kv_cache.cached_threads import (
    MIN_PREFIX,
    CachedTokens,
    SharedPrefixes,
    ThreadIndex,
)
from bot.inference.kv_cache.eviction import EvictionPolicy
from bot.inference.kv_cache.pool import Pool
from bot.inference.kv_cache.prefix_lookup import (
    MIN_COMMON,
    PrefixLookup,
    PrefixMatch,
    system_prompt,
)
from bot.inference.kv_cache.saved_states import SavedStates

_MAX_COMMON = 16
"""Unused prefixes, other than system prompts, that are kept."""
HEADROOM = 32
"""Cells that are free for a sequence when it is admitted: room to grow for a while."""


class KVCacheManager(ABC):
    """Owns the cells and all that is cached in them.

    ``reuse`` off: every sequence is evaluated from its first token, and nothing is cached.
    ``saved_states``: where evicted threads are offloaded to; it outlives the pool. ``num_arranged``
    and ``num_moved`` count new layouts of the cells, and sequences that changed their slot.
    """

    def __init__(
        self, pool: Pool, *, reuse: bool = True, saved_states: SavedStates | None = None
    ) -> None:
        self.pool = pool
        self.num_arranged = self.num_moved = 0
        self.cached_threads: ThreadIndex[CachedTokens] = ThreadIndex()
        self._prefixes = SharedPrefixes()
        self._saved_states = saved_states if saved_states is not None else SavedStates()
        self._running: dict[int, Sequence] = {}
        self._actions: list[Action] = []
        self._reuse = reuse
        indexes = self.cached_threads, self._prefixes, self._saved_states
        self._lookup = PrefixLookup(*indexes, reuse=reuse)
        self.eviction = EvictionPolicy(pool, *indexes, self._actions)

    @property
    @abstractmethod
    def num_attended(self) -> int:
        """The cells over which the attention of a prompt's next token runs."""

    @abstractmethod
    def prepare(self, waiting: Iterable[Sequence]) -> None:
        """Lay out the cells for the running sequences and those that ``waiting`` begins with.

        Called before a step is planned: slots of running sequences change only here and in
        ``make_room_to_decode``.
        """

    @abstractmethod
    def has_room(self, sequence: Sequence) -> bool:
        """Whether ``allocate`` can give the sequence a slot and cells to grow for a while."""

    @abstractmethod
    def could_hold(self, sequence: Sequence) -> bool:
        """Whether it has room now, or will have after ``prepare``."""

    @abstractmethod
    def room_for(self, sequence: Sequence, num_tokens: int, spared: int = 0) -> int:
        """How many of ``num_tokens`` more tokens of a running sequence have cells.

        Idle cells are evicted for them; ``spared`` cells of a common pool stay free for others.
        """

    @abstractmethod
    def make_room_to_decode(self, decoding: Collection[Sequence]) -> bool:
        """Make a cell free for each; False where there is none until a sequence is preempted."""

    @abstractmethod
    def has_cells_for(self, decoding: Collection[Sequence]) -> bool:
        """Whether a cell is free for each as they lie, without an eviction or a move."""

    @property
    def has_actions(self) -> bool:
        return bool(self._actions)

    def take_actions(self) -> list[Action]:
        """The actions that the model must do before the next chunks, in this order."""
        actions = list(self._actions)
        self._actions.clear()
        return actions

    def must_wait(self, sequence: Sequence) -> bool:
        """Whether its prefix is being evaluated by another, or its saved state being read.

        A person's sequence does not wait for background work, which comes last: it evaluates
        the prefix itself.
        """
        if not self._reuse:
            return False
        if prompt := system_prompt(sequence):
            evaluator = self._prefixes.pending_by(sequence.scope, prompt)
            if evaluator is not None and self._is_as_urgent(evaluator, sequence):
                return True
        elif any(
            twin.num_cached < common and self._is_as_urgent(twin.id, sequence)
            for twin, common in self._twins(sequence)
        ):
            return True
        saved = self._lookup.find(sequence).saved
        return saved is not None and not self._saved_states.is_ready(saved)

    def num_to_evaluate(self, sequence: Sequence) -> int:
        return sequence.num_pending - self._lookup.find(sequence).num_tokens

    def allocate(self, sequence: Sequence) -> None:
        """Give it a slot with its cached tokens, and cells to grow for a while, if there are."""
        self._share_beginning(sequence)
        found = self._lookup.find(sequence)
        saved, source = found.saved, found.source
        self._make_room(sequence, found)
        sequence.num_shared = sequence.num_resumed = sequence.num_restored = 0
        if saved and saved.state and self._has_room_for_state(sequence, saved):
            self._restore(sequence, saved, found.num_tokens, source)
        elif source is not None and source in self.cached_threads:
            self._resume(sequence, source, found.num_tokens)
        else:
            self._begin(sequence, source)
        if self._reuse and sequence.shares_prompt:
            self._begin_prefix(sequence)
        self._running[sequence.id] = sequence
        generated = sequence.tokens[sequence.num_prompt :]
        asked = sequence.sampling, generated, sequence.grammar, sequence.logprobs
        self._actions.append(Opening(sequence.held_slot, *asked))

    def promote(self, sequence: Sequence) -> None:
        """Share its system prompt with others, once all of it is evaluated."""
        prompt = system_prompt(sequence)
        if not (prompt and self._prefixes.is_pending_by(sequence.id)):
            return
        if sequence.num_cached < len(prompt):
            return
        if self._make_place_for_prefix(len(prompt)):
            self._make_prefix(sequence, prompt)
        else:
            self._prefixes.give_up(sequence.id)

    def release(self, sequence: Sequence) -> None:
        """Free its slot and its cells."""
        del self._running[sequence.id]
        self._prefixes.give_up(sequence.id)
        self.eviction.release(sequence.held_slot)
        sequence.slot = None

    def preempt(self, sequence: Sequence) -> None:
        """Free its slot until there is room again; its state is saved, if that is worth it."""
        if self._reuse and not sequence.is_forgotten:
            tokens = sequence.tokens[: sequence.num_cached]
            self.eviction.offload(sequence.held_slot, sequence.scope, sequence.thread, tokens)
        self.release(sequence)

    def retire(self, sequence: Sequence) -> None:
        """It is finished; its cells stay for the next turn of its thread."""
        too_short = sequence.num_cached < MIN_PREFIX
        if not self._reuse or too_short or sequence.is_forgotten:
            self.release(sequence)
            return
        del self._running[sequence.id]
        self._prefixes.give_up(sequence.id)
        slot, num_tokens = sequence.held_slot, sequence.num_cached
        self.pool.trim(slot, num_tokens)  # a step under way may have added more
        self._actions.append(Trim(slot, num_tokens))
        tokens = sequence.tokens[:num_tokens]
        older = self.cached_threads.add(CachedTokens(slot, sequence.scope, sequence.thread, tokens))
        if older is not None:
            self.eviction.release(older.slot)
        self._saved_states.forget(sequence.scope, sequence.thread)
        sequence.slot = None

    @abstractmethod
    def _make_room(self, sequence: Sequence, found: PrefixMatch) -> None:
        """Evict what is in the way of the sequence, but not what was found."""

    @abstractmethod
    def _has_room_for_state(self, sequence: Sequence, saved: SavedState) -> bool: ...

    @abstractmethod
    def _can_share(self) -> bool:
        """Whether there is a slot for a shared prefix, without an eviction."""

    @abstractmethod
    def _make_place_for_prefix(self, num_tokens: int) -> bool:
        """Make a slot free for a shared prefix; False where that would cost too much."""

    @abstractmethod
    def _take_prefix_slot(self, sequence: Sequence, num_tokens: int) -> int:
        """A slot to which the sequence's first ``num_tokens`` belong from now on."""

    @abstractmethod
    def _resume(self, sequence: Sequence, cached: CachedTokens, num_tokens: int) -> None:
        """Take over the cells of its idle thread, with the first ``num_tokens``."""

    @abstractmethod
    def _restore(
        self, sequence: Sequence, saved: SavedState, num_tokens: int, prefix: CachedTokens | None
    ) -> None:
        """Restore the state, of which the first ``num_tokens`` are kept, after its ``prefix``."""

    @abstractmethod
    def _find_slot(self, sequence: Sequence, keep: CachedTokens | None, num_cells: int) -> int:
        """Take a free slot; idle ones are evicted for it, but not ``keep``."""

    def _take_slot(
        self, sequence: Sequence, prefix: CachedTokens | None, num_cells: int = 0
    ) -> int:
        """An empty slot for the sequence; the cells that its thread left behind are dropped.

        It has room for ``num_cells``, which may be more than the sequence needs.
        Without a shared ``prefix`` the sequence will share its system prompt (see ``promote``).
        """
        cached = self.cached_threads.named(sequence.scope, sequence.thread)
        if cached is not None:
            self.eviction.drop(cached)
        sequence.slot = self._find_slot(sequence, prefix, num_cells)
        if self._reuse and prefix is None:
            self._begin_prefix(sequence)
        return sequence.slot

    def _make_prefix(
        self, sequence: Sequence, tokens: list[int], *, is_common: bool = False
    ) -> None:
        """Make the cells of its first ``tokens`` a shared prefix, in a slot of its own."""
        slot = self._take_prefix_slot(sequence, len(tokens))
        self._actions.append(Share(sequence.held_slot, slot, len(tokens)))
        self._prefixes.add(CachedTokens(slot, sequence.scope, None, tokens, is_common=is_common))

    def _resume_in(self, sequence: Sequence, slot: int, num_tokens: int) -> None:
        """Take over the slot of its idle thread, with the first ``num_tokens``."""
        sequence.slot = slot
        sequence.num_shared = min(self.pool.num_shared(slot), num_tokens)
        sequence.num_resumed = num_tokens - sequence.num_shared
        sequence.num_cached = num_tokens
        self.pool.trim(slot, num_tokens)
        self._actions.append(Trim(slot, num_tokens))

    def _is_as_urgent(self, sequence_id: int, as_another: Sequence) -> bool:
        return as_another.is_background or not self._running[sequence_id].is_background

    def _twins(
        self, sequence: Sequence, but: Container[int] = ()
    ) -> Iterator[tuple[Sequence, int]]:
        """Running sequences with a common prefix, and its length; not those in the slots ``but``.

        Only those without a shared prefix and a system prompt to share.
        """
        for other in self._running.values():
            if other.scope != sequence.scope or other.held_slot in but:
                continue
            if system_prompt(other) or self.pool.num_shared(other.held_slot):
                continue
            common = common_length(other.tokens[: other.num_prompt], sequence.tokens)
            if common >= MIN_COMMON:
                yield other, common

    def _share_beginning(self, sequence: Sequence) -> None:
        """Where a running sequence has evaluated the same beginning, make it a shared prefix."""
        if not self._reuse or system_prompt(sequence) or not self._can_share():
            return
        least = self._lookup.find(sequence).num_tokens + MIN_COMMON
        restored = {action.slot for action in self._actions if isinstance(action, Restore)}
        twins = self._twins(sequence, but=restored)  # those may still be refused
        found = [(twin, common) for twin, common in twins if least <= common <= twin.num_cached]
        if not found:
            return
        twin, common = max(found, key=lambda pair: pair[1])
        common = min(common, len(sequence.tokens) - 1)
        if self._make_place_for_prefix(common):
            self._make_prefix(twin, sequence.tokens[:common], is_common=True)
            unused = [p for p in self.eviction.unused_prefixes() if p.is_common]
            for prefix in unused[:-_MAX_COMMON]:
                self.eviction.drop(prefix)

    def _begin(self, sequence: Sequence, prefix: CachedTokens | None) -> None:
        """Begin with a shared prefix, or with no token."""
        self._saved_states.forget(sequence.scope, sequence.thread)
        slot = self._take_slot(sequence, prefix)
        sequence.num_cached = 0
        if prefix is not None:
            num_tokens = min(len(prefix.tokens), len(sequence.tokens) - 1)
            sequence.num_shared = sequence.num_cached = num_tokens
            self.pool.share(prefix.slot, slot, num_tokens)
            self._actions.append(Share(prefix.slot, slot, num_tokens))

    def _begin_prefix(self, sequence: Sequence) -> None:
        """It evaluates what others will share, unless that is there."""
        prompt = system_prompt(sequence)
        if prompt and self._prefixes.find(sequence.scope, prompt) is None:
            self._prefixes.begin(sequence.scope, prompt, sequence.id)

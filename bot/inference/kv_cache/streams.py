"""StreamKVCache: each running sequence has a stream of cells of its own, in lanes of like length.

An idle thread stays in its stream until somebody else needs it. Shared prefixes lie on shelves,
and are copied into the streams of those who begin with them. Where the lanes do not suit the
sequences that are to run, they are arranged anew: running sequences move, idle ones are evicted.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable
from itertools import islice
from operator import attrgetter

from bot.inference.core.lanes import Lane, Lanes, round_up
from bot.inference.core.saved_state import SavedState
from bot.inference.core.sequence import Arrange, Move, Restore, Sequence, Status
from bot.inference.kv_cache.cached_threads import CachedTokens
from bot.inference.kv_cache.layout import Arrangement, Budget, arrange, arrange_alone
from bot.inference.kv_cache.manager import HEADROOM, KVCacheManager
from bot.inference.kv_cache.prefix_lookup import PrefixMatch
from bot.inference.kv_cache.saved_states import SavedStates
from bot.inference.kv_cache.stream_pool import StreamPool

_RESERVE = 256
"""Tokens of a reply for which a stream has room from the beginning, if it may be so long."""
_LONG = 2_048
"""Tokens of a prompt for which another attention is worth two new arrangements."""
_PATIENCE = 4
"""Steps. A new arrangement takes as long as so many, and all that run wait for it."""
_MAX_PREFIXES = 64
_SHELF_SHARE = 2
"""Shared prefixes have as many tokens as half of the cells at most."""


class StreamKVCache(KVCacheManager):
    """``lanes`` are those with which the model begins; all together have ``num_cells`` at most."""

    def __init__(
        self,
        lanes: Lanes,
        *,
        num_cells: int,
        window: int,
        max_running: int,
        pass_cells: int,
        flash_prefill: bool = False,
        reuse: bool = True,
        saved_states: SavedStates | None = None,
    ) -> None:
        self._streams = StreamPool(lanes)
        self._window, self._max_running = window, max_running
        size = lanes[0].stream_cells
        self._budget = Budget(num_cells, max_running, size, round_up(window), pass_cells)
        self._flash_prefill = flash_prefill
        self._refused: tuple[int, ...] = ()
        self._num_waited = 0
        super().__init__(self._streams, reuse=reuse, saved_states=saved_states)

    @property
    def num_attended(self) -> int:
        """Each sequence attends to its own stream only."""
        running = self._running.values()
        prompts = [s.num_cached for s in running if s.status is Status.PREFILL]
        return max(prompts or [s.num_cached for s in running], default=0)

    def prepare(self, waiting: Iterable[Sequence]) -> None:
        self._close_gaps()
        num_open = self._max_running - len(self._running)
        coming = list(islice(waiting, num_open))
        if self._flash_prefill:
            self._choose_attention(coming)
        if self._is_worth_arranging(coming):
            self._arrange_for(coming)

    def _is_worth_arranging(self, coming: Collection[Sequence]) -> bool:
        """Whether sequences have waited in vain for as long as those that run would have to.

        Often one of these ends meanwhile, and leaves a stream that is long enough.
        """
        num_unseated = self._num_unseated(coming)
        self._num_waited = self._num_waited + num_unseated if num_unseated else 0
        return self._num_waited > _PATIENCE * len(self._running)

    def _choose_attention(self, coming: Collection[Sequence]) -> None:
        """Flash attention for a long prompt as long as it is alone; then it moves."""
        running = [*self._running.values()]
        if not running and len(coming) == 1:
            (alone,) = coming
            source = self._lookup.find(alone).source
            is_idle = source is not None and source in self.cached_threads
            if not is_idle and self.num_to_evaluate(alone) >= _LONG:
                need = self._soft_need(alone)
                self._rearrange(arrange_alone(need, self._budget, self._streams.lanes))
            return
        is_alone = len(running) + len(coming) == 1
        if not self._is_flash() or (is_alone and not running[0].num_generated):
            return
        if found := self._arrangement(coming) or self._arrangement([]):
            self._rearrange(found)

    def _is_flash(self) -> bool:
        """Whether a running sequence has flash attention."""
        held = self._held_slots()
        return any(lane.is_flash and held & {*lane.slots} for lane in self._streams.lanes)

    def has_room(self, sequence: Sequence) -> bool:
        return self._place(sequence) is not None

    def could_hold(self, sequence: Sequence) -> bool:
        return self.has_room(sequence) or self._arrangement([sequence]) is not None

    def room_for(self, sequence: Sequence, num_tokens: int, spared: int = 0) -> int:
        return min(num_tokens, self._streams.room(sequence.held_slot))

    def make_room_to_decode(self, decoding: Collection[Sequence]) -> bool:
        """A sequence that has filled its stream moves to a longer one."""
        return all(
            self._streams.room(sequence.held_slot) > 0 or self._grow_out(sequence)
            for sequence in decoding
        )

    def has_cells_for(self, decoding: Collection[Sequence]) -> bool:
        return all(self._streams.room(sequence.held_slot) > 0 for sequence in decoding)

    def _soft_need(self, sequence: Sequence) -> int:
        """Cells with which the sequence will hardly have to move."""
        return self._need(sequence, _RESERVE)

    def _hard_need(self, sequence: Sequence) -> int:
        return self._need(sequence, HEADROOM)

    def _need(self, sequence: Sequence, most: int) -> int:
        num_tokens = len(sequence.tokens) + len(sequence.forced)
        left = sequence.max_tokens - sequence.num_generated - len(sequence.forced)
        need = min(num_tokens + max(1, min(left, most)), self._window)
        saved = self._lookup.find(sequence).saved if sequence.slot is None else None
        return max(need, len(saved.tokens)) if saved else need

    def _own_place(self, sequence: Sequence, need: int) -> int | None:
        """The slot of its idle thread, if it is long enough to resume there."""
        source = self._lookup.find(sequence).source
        if source is None or source not in self.cached_threads:
            return None
        return source.slot if self._streams.length(source.slot) >= need else None

    def _place(self, sequence: Sequence, least: int = 0) -> int | None:
        """The slot in which the sequence begins; None where no stream is long enough."""
        for wanted in (self._soft_need(sequence), self._hard_need(sequence)):
            need = max(wanted, least)
            if (own := self._own_place(sequence, need)) is not None:
                return own
            if (slot := self._best_slot(need)) is not None:
                return slot
        return None

    def _best_slot(self, need: int) -> int | None:
        """A slot that no running sequence holds, in the shortest lane that is long enough.

        Consecutive slots are evaluated together, so one beside those that run comes first; then
        a free one; then that of the thread that is idle for the longest time.
        """
        held = self._held_slots()
        idle = {cached.slot: rank for rank, cached in enumerate(self.cached_threads)}
        for lane in sorted(self._streams.lanes, key=attrgetter("stream_cells")):
            slots = [slot for slot in lane.slots if slot not in held]
            if lane.stream_cells >= need and slots:
                return min(
                    slots, key=lambda s: (-(s - 1 in held) - (s + 1 in held), idle.get(s, -1), s)
                )
        return None

    def _held_slots(self) -> set[int]:
        return {sequence.held_slot for sequence in self._running.values()}

    def _num_unseated(self, coming: Collection[Sequence]) -> int:
        """How many have no stream in the lanes as they are, those in use by others left out."""
        if not coming:
            return 0
        held, needs = self._held_slots(), []
        for sequence in coming:
            need = self._soft_need(sequence)
            own = self._own_place(sequence, need)
            if own is None or own in held:
                needs.append(need)
            else:
                held.add(own)
        free = sorted(
            lane.stream_cells for lane in self._streams.lanes for s in lane.slots if s not in held
        )
        num_seated = at = 0
        for need in sorted(needs):
            at = bisect_left(free, need, at) + 1
            num_seated += at <= len(free)
        return len(needs) - num_seated

    def _arrangement(self, coming: Collection[Sequence]) -> Arrangement | None:
        needs = [
            max(self._streams.reserved(sequence.held_slot), self._hard_need(sequence))
            for sequence in self._running.values()
        ]
        needs += map(self._soft_need, coming)
        return arrange(needs, self._budget, self._streams.lanes)

    def _arrange_for(self, coming: list[Sequence]) -> None:
        """Arrange the lanes for as many of ``coming`` as have room beside the running ones."""
        key = *self._running, -1, *(sequence.id for sequence in coming)
        if key == self._refused:
            return
        for number in range(len(coming), 0, -1):
            first = coming[:number]
            if number < len(coming) and not self._num_unseated(first):
                break
            if found := self._arrangement(first):
                self._rearrange(found)
                return
        self._refused = key

    def _rearrange(self, arrangement: Arrangement) -> None:
        """Evict the idle threads of the lanes that go, and move the running sequences."""
        lanes = arrangement.lanes
        going = [slot for lane in self._streams.lanes if lane not in lanes for slot in lane.slots]
        for cached in self.cached_threads:
            if cached.slot in going:
                self.eviction.offload_and_drop(cached)
        moves = self._moves(arrangement.assigned)
        if not moves and set(lanes) == set(self._streams.lanes):
            return
        self._actions.append(Arrange(lanes, tuple(moves)))
        self._streams.lanes, self._num_waited = lanes, 0
        self._follow(moves)
        self.num_arranged += 1

    def _moves(self, assigned: Iterable[Lane]) -> list[Move]:
        """A slot in its lane for each running sequence that is not there already."""
        running = list(zip(self._running.values(), assigned, strict=False))
        taken = {s.held_slot for s, lane in running if s.held_slot in lane.slots}
        moves = []
        for sequence, lane in running:
            if sequence.held_slot in lane.slots:
                continue
            slot = next(s for s in lane.slots if s not in taken)
            self._empty(slot)
            taken.add(slot)
            moves.append(Move(sequence.held_slot, slot))
        return moves

    def _follow(self, moves: list[Move]) -> None:
        """The sequences have the slots to which they were moved."""
        targets = {move.source: move.target for move in moves}
        self._streams.move(moves)
        for sequence in self._running.values():
            sequence.slot = targets.get(sequence.held_slot, sequence.held_slot)
        self.num_moved += len(moves)

    def _move(self, source: int, target: int) -> None:
        self._empty(target)
        move = Move(source, target)
        self._actions.append(move)
        self._follow([move])

    def _empty(self, slot: int) -> None:
        """Evict the idle thread of this slot, if there is one."""
        for cached in self.cached_threads:
            if cached.slot == slot:
                self.eviction.offload_and_drop(cached)

    def _close_gaps(self) -> None:
        """Move one sequence of a lane in which those that run are not in consecutive slots."""
        held = self._held_slots()
        for lane in self._streams.lanes:
            here = sorted(slot for slot in held if slot in lane.slots)
            if here and here[-1] - here[0] >= len(here):
                gap = next(slot for slot in range(here[0], here[-1]) if slot not in held)
                self._move(here[-1], gap)
                return

    def _grow_out(self, sequence: Sequence) -> bool:
        """Move a running sequence to a stream that is long enough for it to go on."""
        for need in (self._soft_need(sequence), self._hard_need(sequence)):
            self._streams.reserve(sequence.held_slot, need)
            if (slot := self._best_slot(need)) is not None:
                self._move(sequence.held_slot, slot)
                return True
            if (found := self._arrangement([])) is not None:
                self._rearrange(found)
                return True
        return False

    def _make_room(self, sequence: Sequence, found: PrefixMatch) -> None:
        """A stream has room for its sequence from the beginning."""

    def _has_room_for_state(self, sequence: Sequence, saved: SavedState) -> bool:
        return self._place(sequence) is not None

    def _can_share(self) -> bool:
        return True

    def _make_place_for_prefix(self, num_tokens: int) -> bool:
        most = self._budget.num_cells // _SHELF_SHARE - num_tokens
        if most < 0:
            return False
        for prefix in self._prefixes:
            if len(self._prefixes) < _MAX_PREFIXES and self._streams.num_on_shelves <= most:
                break
            self.eviction.drop(prefix)
        return True

    def _take_prefix_slot(self, sequence: Sequence, num_tokens: int) -> int:
        slot = self._streams.take_shelf()
        self._streams.grow(slot, num_tokens)
        self._streams.mark_shared(sequence.held_slot, num_tokens)
        return slot

    def _resume(self, sequence: Sequence, cached: CachedTokens, num_tokens: int) -> None:
        slot = self._place(sequence)
        self.cached_threads.remove(cached)
        if slot is not None and slot != cached.slot:
            self._move(cached.slot, slot)
        self._resume_in(sequence, cached.slot if slot is None else slot, num_tokens)
        self._reserve(sequence)

    def _restore(
        self, sequence: Sequence, saved: SavedState, num_tokens: int, prefix: CachedTokens | None
    ) -> None:
        self._saved_states.remove(saved)
        slot = self._take_slot(sequence, prefix, len(saved.tokens))
        self._streams.grow(slot, len(saved.tokens))
        self._streams.trim(slot, num_tokens)
        num_shared = len(prefix.tokens) if prefix else 0
        self._streams.mark_shared(slot, num_shared)
        sequence.num_shared, sequence.num_restored = num_shared, num_tokens - num_shared
        sequence.num_cached = num_tokens
        self._actions.append(Restore(slot, saved, num_tokens))

    def _find_slot(self, sequence: Sequence, keep: CachedTokens | None, num_cells: int) -> int:
        slot = self._place(sequence, num_cells)
        if slot is None:
            raise RuntimeError(f"sequence {sequence.id} was admitted without room")
        self._empty(slot)
        self._streams.take(slot)
        sequence.slot = slot
        self._reserve(sequence)
        return slot

    def _reserve(self, sequence: Sequence) -> None:
        length = self._streams.length(sequence.held_slot)
        self._streams.reserve(sequence.held_slot, min(self._soft_need(sequence), length))

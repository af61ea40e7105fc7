"""Seats sequences in the KV pool on what is there already: their thread, a shared prompt.

Decides whose cells stay and whose go, and says so to the model as actions in their order.
Running sequences always come first; idle threads go before system prompts, least recently
used first, and a shared prompt never before its users.
"""

from __future__ import annotations

from bot.inference.kv import KVPool
from bot.inference.residents import MIN_PREFIX, Prefixes, Resident, Residents, common_length
from bot.inference.sequence import Action, Opening, Release, Sequence, Share, Trim

_MIN_COMMON = 16
"""Tokens that two questions must begin with alike for the second to share them."""
_MAX_COMMON = 16
"""Beginnings that were once alike, kept while nobody uses them."""
_IDLE_SHARE = 4
"""Idle threads keep a quarter of the pool; the one used last stays, however long."""


class Cells:
    """``reuse`` off: every sequence is evaluated from its first token, nothing stays."""

    def __init__(self, num_cells: int, num_slots: int, *, reuse: bool = True) -> None:
        self._pool = KVPool(num_cells, num_slots)
        self._residents = Residents()
        self._prefixes = Prefixes()
        self._seated: dict[int, Sequence] = {}
        self._actions: list[Action] = []
        self._reuse = reuse
        self._found: tuple[tuple[int, int, int], tuple[Resident, int] | None] | None = None

    @property
    def num_used(self) -> int:
        return self._pool.num_used

    @property
    def num_free(self) -> int:
        return self._pool.num_free

    @property
    def num_residents(self) -> int:
        return len(self._residents)

    def take_actions(self) -> list[Action]:
        """What the model must do before the next chunks, in this order."""
        actions, self._actions = self._actions, []
        return actions

    def grow(self, sequence: Sequence, num_tokens: int) -> None:
        self._pool.grow(sequence.seat, num_tokens)

    def must_wait(self, sequence: Sequence) -> bool:
        """Whether somebody evaluates just now what this one begins with, too."""
        prompt = self._system_prompt(sequence)
        if prompt:
            return self._prefixes.is_pending(sequence.scope, prompt)
        return any(s.num_cached < common for s, common in self._twins(sequence))

    def num_needed(self, sequence: Sequence) -> int:
        """Cells that the sequence takes beyond what it finds."""
        found = self._find(sequence)
        return sequence.num_pending - (found[1] if found else 0)

    def could_free(self, num_cells: int, sequence: Sequence) -> bool:
        """Whether there is a slot for the sequence, and room, once the idle ones have gone."""
        spared = self._find(sequence)
        kept = spared[0] if spared else None
        idle = [r for r in self._idle() if r is not kept]
        has_slot = self._pool.has_slot or bool(idle) or kept in self._residents
        room = self._pool.num_free + sum(self._pool.num_own(r.slot) for r in idle)
        return has_slot and room >= num_cells

    def make_room(self, num_cells: int, keep: Resident | None = None) -> None:
        """Let idle cells go until that many are free, or none are left."""
        while self._pool.num_free < num_cells and self.evict(keep):
            pass

    def seat(self, sequence: Sequence, num_cells: int) -> None:
        """Give it a slot with what can be found of it, and ``num_cells`` free if possible."""
        self._share_beginning(sequence)
        found = self._find(sequence)
        self.make_room(num_cells, keep=found[0] if found else None)
        if found and found[0] in self._residents:
            self._resume(sequence, *found)
        else:
            self._release_older(sequence)
            self._begin(sequence, *(found or (None, 0)))
        self._seated[sequence.id] = sequence
        generated = sequence.tokens[sequence.num_prompt :]
        self._actions.append(Opening(sequence.seat, sequence.sampling, generated))

    def promote(self, sequence: Sequence) -> None:
        """Its system prompt is evaluated: from now on others share it."""
        prompt = self._system_prompt(sequence)
        if not (prompt and self._prefixes.is_pending_by(sequence.id)):
            return
        if sequence.num_cached < len(prompt):
            return
        if not (self._pool.has_slot or self.evict()):
            self._prefixes.give_up(sequence.id)
            return
        self._hand_over(sequence, prompt)

    def leave(self, sequence: Sequence) -> None:
        """It gives up its slot; its cells are gone."""
        del self._seated[sequence.id]
        self._prefixes.give_up(sequence.id)
        self._release(sequence.seat)
        sequence.slot = None

    def retire(self, sequence: Sequence) -> None:
        """It is done; its cells stay for when its thread speaks again."""
        if not self._reuse or sequence.num_cached < MIN_PREFIX:
            self.leave(sequence)
            return
        del self._seated[sequence.id]
        self._prefixes.give_up(sequence.id)
        slot, num_tokens = sequence.seat, sequence.num_cached
        self._pool.trim(slot, num_tokens)  # a step under way may have added more
        self._actions.append(Trim(slot, num_tokens))
        tokens = sequence.tokens[:num_tokens]
        older = self._residents.add(Resident(slot, sequence.scope, sequence.thread, tokens))
        if older is not None:
            self._release(older.slot)
        sequence.slot = None
        self._let_oldest_go()

    def _let_oldest_go(self) -> None:
        """Every step's attention runs over all cells in use: idle ones keep to their share."""
        num_idle = sum(self._pool.num_own(r.slot) for r in self._residents)
        for resident in list(self._residents)[:-1]:
            if num_idle <= self._pool.num_cells // _IDLE_SHARE:
                return
            num_idle -= self._pool.num_own(resident.slot)
            self._drop(resident)

    def _find(self, sequence: Sequence) -> tuple[Resident, int] | None:
        """The resident thread or shared prompt that saves the most, and how many tokens.

        Who is next in the queue is asked for in every step, and the answer kept meanwhile.
        """
        key = sequence.id, self._residents.num_changes, self._prefixes.num_changes
        if self._found is None or self._found[0] != key:
            self._found = key, self._search(sequence) if self._reuse else None
        return self._found[1]

    def _search(self, sequence: Sequence) -> tuple[Resident, int] | None:
        """One token at least is left to evaluate: without it there is nothing to sample from."""
        prefix = self._shared(sequence)
        match = self._residents.match(sequence.scope, sequence.thread, sequence.tokens)
        best = max(
            [m for m in (match, (prefix, len(prefix.tokens)) if prefix else None) if m],
            key=lambda pair: pair[1],
            default=None,
        )
        if best is None or best[1] < _MIN_COMMON:
            return None
        return best[0], min(best[1], len(sequence.tokens) - 1)

    def _shared(self, sequence: Sequence) -> Resident | None:
        prompt = self._system_prompt(sequence)
        if prompt:
            return self._prefixes.find(sequence.scope, prompt)
        return self._prefixes.find_longest(sequence.scope, sequence.tokens)

    def _twins(self, sequence: Sequence) -> list[tuple[Sequence, int]]:
        """Who has a seat, shares nothing, and begins alike; with the number of tokens."""
        if not self._reuse:
            return []
        alone = (
            s
            for s in self._seated.values()
            if s.scope == sequence.scope
            and not self._system_prompt(s)
            and not self._pool.num_shared(s.seat)
        )
        pairs = ((s, common_length(s.tokens[: s.num_prompt], sequence.tokens)) for s in alone)
        return [(twin, common) for twin, common in pairs if common >= _MIN_COMMON]

    def _share_beginning(self, sequence: Sequence) -> None:
        """What the sequence begins with is evaluated in another's seat: give it to both."""
        found = self._find(sequence)
        least = found[1] + _MIN_COMMON if found else _MIN_COMMON
        if self._system_prompt(sequence):
            return
        twins = [pair for pair in self._twins(sequence) if least <= pair[1] <= pair[0].num_cached]
        if twins and self._pool.has_slot:
            twin, common = max(twins, key=lambda pair: pair[1])
            common = min(common, len(sequence.tokens) - 1)
            self._hand_over(twin, sequence.tokens[:common], is_common=True)
            self._let_old_beginnings_go()

    def _hand_over(self, sequence: Sequence, tokens: list[int], *, is_common: bool = False) -> None:
        """Its first cells become a shared prefix, in a slot of their own."""
        slot = self._pool.take()
        self._pool.hand_over(sequence.seat, slot, len(tokens))
        self._actions.append(Share(sequence.seat, slot, len(tokens)))
        self._prefixes.add(Resident(slot, sequence.scope, None, tokens, is_common=is_common))

    def _let_old_beginnings_go(self) -> None:
        unused = [p for p in self._prefixes if p.is_common and not self._pool.num_users(p.slot)]
        for prefix in unused[:-_MAX_COMMON]:
            self._drop(prefix)

    def _resume(self, sequence: Sequence, resident: Resident, num_tokens: int) -> None:
        self._residents.remove(resident)
        sequence.slot = resident.slot
        sequence.num_shared = min(self._pool.num_shared(resident.slot), num_tokens)
        sequence.num_resumed = num_tokens - sequence.num_shared
        sequence.num_cached = num_tokens
        self._pool.trim(resident.slot, num_tokens)
        self._actions.append(Trim(resident.slot, num_tokens))

    def _begin(self, sequence: Sequence, prefix: Resident | None, num_tokens: int) -> None:
        if not self._pool.has_slot:
            self.evict(prefix)
        slot = sequence.slot = self._pool.take()
        sequence.num_shared, sequence.num_resumed = num_tokens, 0
        sequence.num_cached = num_tokens
        prompt = self._system_prompt(sequence)
        if prefix is not None:
            self._pool.share(prefix.slot, slot, num_tokens)
            self._actions.append(Share(prefix.slot, slot, num_tokens))
        elif prompt:
            self._prefixes.begin(sequence.scope, prompt, sequence.id)

    def _release_older(self, sequence: Sequence) -> None:
        """What its thread left behind is of no use any more."""
        if sequence.thread is None:
            return
        match = self._residents.match(sequence.scope, sequence.thread, sequence.tokens)
        if match:
            self._drop(match[0])

    def _system_prompt(self, sequence: Sequence) -> list[int]:
        long_enough = self._reuse and sequence.num_prefix >= MIN_PREFIX
        return sequence.tokens[: sequence.num_prefix] if long_enough else []

    def _idle(self) -> list[Resident]:
        unused = [p for p in self._prefixes if not self._pool.num_users(p.slot)]
        return [*self._residents, *unused]

    def evict(self, keep: Resident | None = None) -> bool:
        """Let the first idle one go; False if there is none."""
        victim = next((r for r in self._idle() if r is not keep), None)
        if victim is None:
            return False
        self._drop(victim)
        return True

    def _drop(self, idle: Resident) -> None:
        home = self._residents if idle in self._residents else self._prefixes
        home.remove(idle)
        self._release(idle.slot)

    def _release(self, slot: int) -> None:
        self._pool.free(slot)
        self._actions.append(Release(slot))

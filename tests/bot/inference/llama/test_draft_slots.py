"""What a draft model keeps of which sequences, while others need its cells."""

from __future__ import annotations

from bot.inference.core.sequence import DraftRequest
from bot.inference.llama.draft_slots import DraftSlots


def asked(sequence: int, *tokens: int, num: int = 2) -> DraftRequest:
    return DraftRequest(sequence, list(tokens), num)


class Kept:
    """Slots whose tokens are all evaluated at once. ``evicted``: the slots that were cleared."""

    def __init__(self, num_slots: int = 3, num_cells: int = 100, slot_cells: int = 50) -> None:
        self.slots = DraftSlots(num_slots, num_cells, slot_cells)
        self.evicted: list[int] = []

    def ask(self, *requests: DraftRequest) -> dict[int, tuple[int, int]]:
        """Sequence -> its slot, and how many of its tokens that had already."""
        found = self.slots.assign(requests)
        for slot in self.slots.evicted(found):
            self.evicted.append(slot.number)
            slot.tokens.clear()
        answer = {}
        for slot, request in found:
            answer[request.sequence] = slot.number, slot.num_common(request)
            slot.tokens[:] = request.tokens
        return answer


def test_a_sequence_keeps_its_slot_and_goes_on_from_what_is_the_same() -> None:
    kept = Kept()
    assert kept.ask(asked(1, 5, 6, 7), asked(2, 5, 6)) == {1: (0, 0), 2: (1, 0)}
    assert kept.ask(asked(2, 5, 6, 8), asked(1, 5, 6, 9)) == {2: (1, 2), 1: (0, 2)}


def test_the_next_question_of_a_thread_takes_the_slot_of_the_last() -> None:
    kept = Kept()
    kept.ask(asked(1, 5, 6, 7, 8), asked(2, 1, 2, 3, 4))
    assert kept.ask(asked(3, 5, 6, 7, 9, 9)) == {3: (0, 3)}


def test_a_slot_that_has_little_in_common_is_taken_only_if_no_other_is_free() -> None:
    kept = Kept()
    kept.ask(asked(1, 5, 6, 7, 8))
    assert kept.ask(asked(2, 5, 6, 1, 1)) == {2: (1, 0)}
    assert kept.ask(asked(3, 9)) == {3: (2, 0)}
    assert kept.ask(asked(4, 5, 6, 2, 2)) == {4: (0, 2)}
    assert kept.ask(asked(2, 5, 6, 1, 1, 1), asked(4, 5, 6, 2, 2, 2)) == {2: (1, 4), 4: (0, 4)}


def test_no_slot_is_taken_from_a_sequence_that_asks_at_the_same_time() -> None:
    kept = Kept(num_slots=2)
    kept.ask(asked(1, 5, 6, 7, 8), asked(2, 1, 2, 3, 4))
    assert kept.ask(asked(3, 5, 6, 7, 8), asked(1, 5, 6, 7, 8, 9), asked(2, 1, 2, 3)) == {
        1: (0, 4),
        2: (1, 3),
    }
    assert kept.ask(asked(3, 5, 6, 7, 8), asked(2, 1, 2, 3)) == {3: (0, 4), 2: (1, 3)}


def test_a_text_that_is_longer_than_a_slot_has_none() -> None:
    kept = Kept(slot_cells=6)
    assert kept.ask(asked(1, 1, 2, 3, 4)) == {1: (0, 0)}
    assert kept.ask(asked(1, 1, 2, 3, 4, 5)) == {}
    assert kept.ask(asked(1, 1, 2, 3, 4, 5, num=1)) == {1: (0, 4)}


def test_the_least_recently_used_are_cleared_for_others_in_one_pool() -> None:
    kept = Kept(num_cells=20)
    kept.ask(asked(1, *[1] * 6))
    kept.ask(asked(2, *[2] * 6))
    kept.ask(asked(1, *[1] * 7))
    assert kept.evicted == []
    kept.ask(asked(3, *[3] * 6))
    assert kept.evicted == [1]
    assert kept.ask(asked(1, *[1] * 8), asked(2, *[2] * 8)) == {1: (0, 7), 2: (1, 0)}
    assert kept.evicted == [1, 2]
    assert kept.ask(asked(1, *[1] * 9), asked(2, *[2] * 8)) == {1: (0, 8)}

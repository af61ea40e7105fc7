"""Drafts that are right but for every so many letters, and always evaluated or asked for."""

from __future__ import annotations

from collections.abc import Callable

from bot.inference.core.sequence import DraftRequest, Sequence
from bot.inference.scheduling.model_drafts import ModelDrafts
from bot.inference.scheduling.speculation import MAX_DRAFT, Speculation


class Guesser:
    """``Proposer`` that knows the whole reply, and is wrong at every ``errs_at``-th letter.

    ``is_silent``: of which it proposes nothing.
    """

    def __init__(self, reply_to: Callable[[Sequence], str], errs_at: int) -> None:
        self._reply_to, self._errs_at = reply_to, errs_at
        self.forgotten: list[Sequence] = []
        self.is_silent: Callable[[Sequence], bool] = lambda _: not errs_at

    def propose(self, sequence: Sequence, max_tokens: int) -> list[int]:
        if self.is_silent(sequence):
            return []
        reply, start = self._reply_to(sequence), sequence.num_generated
        letters = [ord(each) for each in reply[start : start + max_tokens]]
        return [
            letter + ((start + number + 1) % self._errs_at == 0)
            for number, letter in enumerate([*letters, 0])  # the end, too
        ][:max_tokens]

    def forget(self, sequence: Sequence) -> None:
        self.forgotten.append(sequence)


class Eager(Speculation):
    """Whatever is proposed is evaluated, as far as there is room."""

    def drafts(self, decoding: list[Sequence], max_tokens: int) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for sequence in decoding:
            left = sequence.max_tokens - sequence.num_generated - 1
            proposed = self._proposer.propose(sequence, MAX_DRAFT)
            if draft := proposed[: max(0, min(left, max_tokens))]:
                found[sequence.held_slot] = draft
                max_tokens -= len(draft)
        return found


class Insistent(ModelDrafts):
    """The draft model is asked for 5 tokens whenever there is room."""

    def requests(
        self, sequences: list[Sequence], num_replies: int, num_drafted: int, max_tokens: int
    ) -> dict[int, DraftRequest]:
        asked: dict[int, DraftRequest] = {}
        for sequence in sequences:
            left = sequence.max_tokens - sequence.num_generated - 1
            if (size := min(5, left, max_tokens)) > 0:
                request = DraftRequest(sequence.id, sequence.tokens[:], size)
                asked[sequence.held_slot] = request
                max_tokens -= size
        return asked

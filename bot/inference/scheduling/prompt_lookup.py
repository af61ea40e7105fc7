"""Prompt lookup: what a reply writes often stands already in its thread. Pure."""

from __future__ import annotations

from itertools import count, islice

from bot.inference.core.sequence import Sequence

_NGRAM = 4
"""So many tokens must be the same before what followed them is proposed: fewer are often chance."""


class _Index:
    """Where each n-gram of one sequence ended last; it reads every token once.

    ``_at`` is the position after the tokens that equal the sequence's last ones. It moves on
    with the sequence as long as they stay equal, so that a longer match is not left for a newer.
    """

    def __init__(self) -> None:
        self._ends: dict[tuple[int, ...], int] = {}
        self._num_read = 0
        self._at = 0

    def propose(self, tokens: list[int], max_tokens: int) -> list[int]:
        if not self._num_read:
            self._read_prompt(tokens)
        for number, token in enumerate(tokens[self._num_read :], self._num_read + 1):
            key = tuple(tokens[max(0, number - _NGRAM) : number])
            is_longer = self._at and tokens[self._at] == token
            self._at = self._at + 1 if is_longer else self._ends.get(key, 0)
            self._ends[key] = number
        self._num_read = len(tokens)
        return tokens[self._at : self._at + max_tokens] if self._at else []

    def _read_prompt(self, tokens: list[int]) -> None:
        """All but the last token, at C speed."""
        self._num_read = max(0, len(tokens) - 1)
        shifted = (islice(tokens, number, self._num_read) for number in range(_NGRAM))
        self._ends = dict(zip(zip(*shifted, strict=False), count(_NGRAM), strict=False))


class PromptLookup:
    """``Proposer``: what followed the last time that a reply's last tokens stood in its thread."""

    def __init__(self) -> None:
        self._indexes: dict[int, _Index] = {}

    def propose(self, sequence: Sequence, max_tokens: int) -> list[int]:
        index = self._indexes.setdefault(sequence.id, _Index())
        return index.propose(sequence.tokens, max_tokens)

    def forget(self, sequence: Sequence) -> None:
        self._indexes.pop(sequence.id, None)

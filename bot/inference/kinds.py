"""Kinds of models by what they remember of a text, as llama.cpp tells them apart."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """The name is what ``doctor`` shows."""

    ATTENTION = "full attention"
    SLIDING_WINDOW = "sliding-window attention"
    RECURRENT = "recurrent"
    HYBRID = "hybrid"

    @property
    def can_reuse(self) -> bool:
        """Whether what was evaluated can be cut off at any token, kept and shared.

        The state of the others belongs to the text up to its end: a thread's next turn is
        evaluated from its first token.
        """
        return self is Kind.ATTENTION

"""The port to a loaded model, between the engine's policy and native code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from bot.inference.core.calls import AnyGrammar, CallSyntax
from bot.inference.core.lanes import Lanes
from bot.inference.core.sequence import Step
from bot.inference.core.vocabulary import TextCodec


@dataclass(frozen=True, slots=True)
class Tag:
    """The text around the reasoning. ``closes`` is empty where the answer follows at once."""

    opens: bytes
    closes: bytes


class NoRoom(Exception):
    """llama_decode returned 1: the KV pool has no room for the chunks; none was evaluated."""


class NotRestored(Exception):
    """The states for ``slots`` were refused, and these slots are empty.

    All other actions of the step are done; none of its chunks was evaluated.
    """

    def __init__(self, slots: Sequence[int]) -> None:
        super().__init__(f"the states for slots {', '.join(map(str, slots))} were refused")
        self.slots = tuple(slots)


class StepFailed(Exception):
    """The step failed and left a partial state; the model must be ``reset``."""


class Model(TextCodec, Protocol):
    """A loaded model with one KV pool, or with lanes of streams (see ``lanes``).

    ``run``, ``reset`` and ``keeps_states`` are called from one worker only, one at a time.
    ``can_follow``, ``beginning``, ``piece`` and ``is_end`` change nothing; any thread may call
    them.
    """

    @property
    def name(self) -> str: ...
    @property
    def window(self) -> int:
        """The context length: tokens that one sequence may have."""
        ...

    @property
    def num_cells(self) -> int: ...
    @property
    def num_tokens(self) -> int:
        """The tokens of the vocabulary: all ids are below this number."""
        ...

    @property
    def num_slots(self) -> int: ...
    @property
    def lanes(self) -> Lanes:
        """The lanes after loading and after a reset; none where all slots share one pool."""
        ...

    @property
    def flash_prefill(self) -> bool:
        """Whether a long prompt that is alone is best evaluated in a lane with flash attention."""
        ...

    @property
    def pass_cells(self) -> int:
        """Over so many cells attention costs as much as one more pass over the weights."""
        ...

    @property
    def can_reuse(self) -> bool:
        """Whether a slot's cells can be trimmed and shared; if not, no cells may be reused."""
        ...

    @property
    def can_draft(self) -> bool:
        """Whether it has a draft model, which answers the requests of chunks."""
        ...

    @property
    def fingerprint(self) -> str:
        """Equal for two models only if one can restore the states that the other saved."""
        ...

    @property
    def max_batch(self) -> int:
        """The most tokens that one step may have."""
        ...

    def can_follow(self, grammar: str) -> bool:
        """Whether replies can be constrained to this grammar of llguidance."""
        ...

    def beginning(self, grammar: AnyGrammar) -> list[int]:
        """Tokens that every reply under this grammar begins with, as far as they are certain."""
        ...

    @property
    def open_tag(self) -> Tag | None:
        """The reasoning tag that every prompt ends with, if its template leaves one open."""
        ...

    @property
    def calls(self) -> CallSyntax:
        """How an answer calls tools."""
        ...

    def piece(self, token: int) -> bytes:
        """A token's bytes, maybe part of a character. Of special tokens only tags have any."""
        ...

    def is_end(self, token: int) -> bool:
        """Whether the token ends a reply."""
        ...

    def run(self, step: Step) -> dict[int, list[int]]:
        """Do a step; slot -> the sampled token, NO_TOKEN where the grammar allows none.

        It is ``Forced`` if the grammar left no choice; those that are forced after it follow it,
        with the reply's end if that is forced, too. As long as the chunk's draft says the same,
        what is sampled next follows.

        Raises NoRoom, NotRestored or StepFailed.
        """
        ...

    def keeps_states(self) -> bool:
        """Try on an empty pool whether a state survives saving and restoring unchanged."""
        ...

    def reset(self) -> None:
        """Clear all cells and sampler chains."""
        ...

    def close(self) -> None: ...

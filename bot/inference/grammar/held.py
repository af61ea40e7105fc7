"""Choosing tokens that keep a reply to its grammar: choose freely first, and check.

Asking a grammar about one token takes microseconds, about a whole vocabulary tens of
milliseconds. So the sampler chain chooses as always, and only when the grammar refuses its
choice is there a second one, among the likeliest tokens that the grammar allows.
"""

from __future__ import annotations

import codecs
import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from bot.inference.core.sequence import NO_TOKEN
from bot.inference.grammar.beginnings import Beginnings, Ids, Mask

Logits = npt.NDArray[np.float32]

_NUM_LIKELY = 256
"""So many of the likeliest tokens are tried before all of them are."""
_MAX_SECONDS = 0.02


@cache
def _ids(num_tokens: int) -> Ids:
    return np.arange(num_tokens, dtype=np.int32)


class Grammar(Protocol):
    """Where a reply stands in its grammar."""

    def allowed(self, ids: Ids) -> Mask: ...
    def accept(self, token: int) -> None:
        """Only what is allowed: anything else would end the process."""
        ...

    def close(self) -> None: ...


class Chain(Protocol):
    """A sampler chain: ``choose`` one of ``ids``, ``accept`` what was chosen."""

    def choose(self, ids: Ids, logits: Logits) -> int: ...
    def accept(self, tokens: Sequence[int]) -> None: ...


class TokenTexts(Protocol):
    @property
    def beginnings(self) -> Beginnings: ...
    def piece(self, token: int) -> bytes: ...
    def is_end(self, token: int) -> bool: ...


class HeldReply:
    """One reply that keeps to a grammar.

    An ambiguous grammar may grow with every token. When taking one in costs 20 ms of computing
    instead of some microseconds, it is the last, so that nobody else waits.
    """

    def __init__(
        self,
        grammar: Grammar,
        chain: Chain,
        vocabulary: TokenTexts,
        computed: Callable[[], float] = time.thread_time,
    ) -> None:
        """``computed``: seconds that this worker has computed, whatever else ran meanwhile."""
        self._grammar = grammar
        self._chain = chain
        self._vocabulary = vocabulary
        self._computed = computed
        self._half_character = b""
        self._is_late = False
        self.was_refused = False

    def resume(self, tokens: Sequence[int]) -> None:
        """Go on after ``tokens``, which this grammar has led to before."""
        for token in tokens:
            self._accept(token)

    def close(self) -> None:
        self._grammar.close()

    def sample(self, logits: Logits) -> int:
        """The next token, or NO_TOKEN; ``was_refused`` tells whether it is the second choice."""
        token = NO_TOKEN if self._is_late else self._choose(logits)
        if token != NO_TOKEN:
            self._accept(token)
            self._chain.accept([token])
        return token

    def _choose(self, logits: Logits) -> int:
        token = self._chain.choose(_ids(len(logits)), logits)
        self.was_refused = not self._fitting(np.array([token], np.int32)).size
        return self._choose_again(logits) if self.was_refused else token

    def _choose_again(self, logits: Logits) -> int:
        num_likely = min(_NUM_LIKELY, len(logits))
        fitting = self._fitting(np.argpartition(logits, -num_likely)[-num_likely:])
        if not fitting.size:
            fitting = self._fitting(self._vocabulary.beginnings.possible(self._grammar.allowed))
        return self._chain.choose(fitting, logits[fitting]) if fitting.size else NO_TOKEN

    def _fitting(self, ids: npt.NDArray[np.integer[Any]]) -> Ids:
        """Those that the grammar allows, and that say what the grammar takes them for."""
        allowed = ids[self._grammar.allowed(ids.astype(np.int32))]
        return np.array([token for token in allowed if self._says_something(token)], np.int32)

    def _says_something(self, token: int) -> bool:
        """llama.cpp's grammars let special tokens and overlong UTF-8 pass as characters."""
        if self._vocabulary.is_end(token):
            return True
        piece = self._half_character + self._vocabulary.piece(token)
        if piece.isascii():
            return len(piece) > len(self._half_character)
        try:
            codecs.utf_8_decode(piece)
        except UnicodeDecodeError:
            return False
        return True

    def _accept(self, token: int) -> None:
        if self._vocabulary.is_end(token):
            return
        started = self._computed()
        self._grammar.accept(token)
        self._is_late = self._computed() - started > _MAX_SECONDS
        piece = self._half_character + self._vocabulary.piece(token)
        _, num_whole = codecs.utf_8_decode(piece)
        self._half_character = piece[num_whole:]

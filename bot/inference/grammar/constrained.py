"""Samples tokens that a grammar allows: samples freely first, and checks the result.

Checking one token takes microseconds, checking the vocabulary tens of milliseconds. So the
sampler chain first samples as without a grammar. If the grammar refuses the token, it samples
again among the likeliest tokens that the grammar allows.
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
"""How many of the likeliest tokens are checked before the whole vocabulary is."""
_MAX_SECONDS = 0.02


@cache
def _ids(num_tokens: int) -> Ids:
    return np.arange(num_tokens, dtype=np.int32)


class Grammar(Protocol):
    """The state of a grammar after the accepted tokens."""

    def allowed(self, ids: Ids) -> Mask: ...
    def accept(self, token: int) -> None:
        """The token must be allowed; any other one would end the process."""
        ...

    def close(self) -> None: ...


class Chain(Protocol):
    """A sampler chain: ``choose`` samples one of ``ids``, ``accept`` records the choice."""

    def choose(self, ids: Ids, logits: Logits) -> int: ...
    def accept(self, tokens: Sequence[int]) -> None: ...


class TokenTexts(Protocol):
    @property
    def beginnings(self) -> Beginnings: ...
    def piece(self, token: int) -> bytes: ...
    def is_end(self, token: int) -> bool: ...


class ConstrainedReply:
    """One reply whose tokens follow a grammar.

    The state of an ambiguous grammar may grow with every token. A token that takes 20 ms of
    computing instead of microseconds is the last one, so that other replies do not wait.
    """

    def __init__(
        self,
        grammar: Grammar,
        chain: Chain,
        vocabulary: TokenTexts,
        computed: Callable[[], float] = time.thread_time,
    ) -> None:
        """``computed``: CPU seconds of this worker's thread."""
        self._grammar = grammar
        self._chain = chain
        self._vocabulary = vocabulary
        self._computed = computed
        self._half_character = b""
        self._is_late = False
        self.was_refused = False

    def resume(self, tokens: Sequence[int]) -> None:
        """Continue after ``tokens``, which were sampled under this grammar before."""
        for token in tokens:
            self._accept(token)

    def close(self) -> None:
        self._grammar.close()

    def sample(self, logits: Logits) -> int:
        """The next token, or NO_TOKEN. ``was_refused``: the first choice was refused."""
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
        """The tokens that the grammar allows and whose bytes are what the grammar assumes."""
        allowed = ids[self._grammar.allowed(ids.astype(np.int32))]
        return np.array([token for token in allowed if self._is_text(token)], np.int32)

    def _is_text(self, token: int) -> bool:
        """llama.cpp's grammars accept special tokens and overlong UTF-8 as characters."""
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

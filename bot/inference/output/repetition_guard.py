"""Whether a reply only repeats itself, seen on token ids. Pure; a few lookups a token.

Three ways in which small models get stuck, each with what an honest reply may do:

- verbatim: the same tokens again and again. A refrain comes back after other text, and
  the rows of a table or the items of a list differ, so neither counts.
- counted: the same but for one counter, ``17. Fish 18. Fish``. Counting without words, and
  lines of data or code that carry a number, do not count.
- shuffled: a few phrases in changing order. Text that was shown two or three times before,
  as a program and its corrected version are, does not count.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable

_NGRAM = 4
"""Tokens that must have stood together before for a repetition to be suspected."""

_PROSE_TOKENS, _LAYOUT_TOKENS = 96, 320
"""A repetition is a loop after so many tokens, and two periods more."""

_LAYOUT = frozenset("<>|{}[]")
_DATA = _LAYOUT | frozenset('=;"')
_NUMBER = -1

_PHRASE, _WINDOW = 6, 256
_MAX_SHOWN = 3
_STALE_SHARE, _WORD_SHARE = 0.9, 0.6


class RepetitionGuard:
    """Hears each token of a reply; ``piece`` tells a token's bytes.

    ``num_repeated``: tokens at the end of a looping reply that may be taken away and leave
    what they repeat.
    """

    def __init__(self, piece: Callable[[int], bytes]) -> None:
        self._texts = _Texts(piece)
        self._tokens = _Repetition()
        self._counted = _Counting()
        self._phrases = _Phrases()
        self.num_repeated = 0

    def add(self, token: int) -> bool:
        """Whether the reply, with this token, only repeats itself."""
        text = self._texts[token]
        self._tokens.add(token)
        self._counted.add(token, text)
        self._phrases.add(token, is_word=any(map(str.isalpha, text)))
        if self._is_verbatim():
            self.num_repeated = self._tokens.tail()
        elif self._counted.is_loop():
            self.num_repeated = self._counted.tail()
        return self.num_repeated > 0 or self._phrases.are_stale

    def _is_verbatim(self) -> bool:
        if self._tokens.is_due(_LAYOUT_TOKENS):
            return True
        if not self._tokens.is_due(_PROSE_TOKENS):
            return False
        return _is_prose("".join(self._texts[token] for token in self._tokens.block()), _LAYOUT)


class _Texts(dict[int, str]):
    """What each token reads; half a character reads as U+FFFD, which is no letter."""

    def __init__(self, piece: Callable[[int], bytes]) -> None:
        super().__init__()
        self._piece = piece

    def __missing__(self, token: int) -> str:
        text = self[token] = self._piece(token).decode("utf-8", "replace")
        return text


class _Repetition:
    """How many of the last symbols equal those ``period`` before.

    The period is the way back to the last time when the newest few symbols stood together.
    It is kept until a symbol breaks it, so that a symbol costs one lookup.
    """

    def __init__(self) -> None:
        self._symbols: list[int] = []
        self._last_at: dict[tuple[int, ...], int] = {}
        self._num_equal = 0
        self.period = 0

    def __len__(self) -> int:
        return len(self._symbols)

    def add(self, symbol: int) -> None:
        at = len(self._symbols)
        self._symbols.append(symbol)
        newest = tuple(self._symbols[-_NGRAM:])
        before = self._last_at.get(newest)
        self._last_at[newest] = at
        if self.period and self._symbols[at - self.period] == symbol:
            self._num_equal += 1
        else:
            self._num_equal = 0 if before is None else _NGRAM
            self.period = 0 if before is None else at - before

    def is_due(self, num_symbols: int) -> bool:
        """Long enough, and at the end of a period: once a period is often enough to look."""
        beyond = self._num_equal - num_symbols - 2 * self.period
        return self.period > 0 and beyond >= 0 and beyond % self.period == 0

    def block(self) -> list[int]:
        """What is repeated."""
        return self._symbols[-self.period :]

    def tail(self) -> int:
        """How many symbols at the end equal those a period before, however long ago it began."""
        start = len(self._symbols)
        while start > self.period and (
            self._symbols[start - 1] == self._symbols[start - 1 - self.period]
        ):
            start -= 1
        return len(self._symbols) - start


class _Counting:
    """The same over words and numbers: all numbers are one symbol, and their values are kept."""

    def __init__(self) -> None:
        self._repetition = _Repetition()
        self._values: list[str] = []
        self._starts: list[int] = []
        self._num_tokens = 0
        self._digits = ""

    def add(self, token: int, text: str) -> None:
        if not (text.strip().isdecimal() and text.isascii()):
            self._close_number()
            self._push(token, text)
        elif self._digits and not text[0].isspace():
            self._digits += text
        else:
            self._close_number()
            self._digits = text
            self._starts.append(self._num_tokens)
        self._num_tokens += 1

    def is_loop(self) -> bool:
        """Whether one counter goes up, and everything else stays."""
        return (
            self._repetition.is_due(_PROSE_TOKENS)
            and not self._digits
            and _is_prose("".join(self._values[-self._repetition.period :]), _DATA)
            and self._only_counts()
        )

    def tail(self) -> int:
        """In tokens."""
        return self._num_tokens - self._starts[len(self._repetition) - self._repetition.tail()]

    def _close_number(self) -> None:
        if self._digits:
            self._values.append(self._digits)
            self._repetition.add(_NUMBER)
            self._digits = ""

    def _push(self, token: int, text: str) -> None:
        self._starts.append(self._num_tokens)
        self._values.append(text)
        self._repetition.add(token)

    def _only_counts(self) -> bool:
        """Each number stays, or goes up by as many as go up in a period: one counter."""
        period = self._repetition.period
        now, before = self._values[-period:], self._values[-2 * period : -period]
        steps = [int(new) - int(old) for new, old in zip(now, before, strict=True) if new != old]
        return all(step == len(steps) for step in steps)


class _Phrases:
    """How much of the last ``_WINDOW`` tokens is words of phrases that were said often before."""

    def __init__(self) -> None:
        self._newest: deque[int] = deque(maxlen=_PHRASE)
        self._num_said: Counter[tuple[int, ...]] = Counter()
        self._stale = _Share()
        self._words = _Share()

    def add(self, token: int, *, is_word: bool) -> None:
        self._newest.append(token)
        phrase = tuple(self._newest)
        self._stale.add(self._num_said[phrase] >= _MAX_SHOWN)
        self._num_said[phrase] += 1
        self._words.add(is_word)

    @property
    def are_stale(self) -> bool:
        return self._stale.share >= _STALE_SHARE and self._words.share >= _WORD_SHARE


class _Share:
    """Of the last ``_WINDOW`` tokens, how many are of a kind."""

    def __init__(self) -> None:
        self._window: deque[bool] = deque([False] * _WINDOW)
        self._num = 0

    def add(self, is_of_kind: bool) -> None:
        self._window.append(is_of_kind)
        self._num += is_of_kind - self._window.popleft()

    @property
    def share(self) -> float:
        return self._num / _WINDOW


def _is_prose(block: str, marks: frozenset[str]) -> bool:
    return any(map(str.isalpha, block)) and marks.isdisjoint(block)

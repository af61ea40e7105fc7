"""RepetitionGuard: finds replies that only repeat themselves, by their token ids.

Pure, with a few lookups for each token. Small models loop in three ways; each has a rule that
spares good replies:

- verbatim: the same tokens again and again. A refrain returns after other text, and the rows
  of a table or the items of a list differ, so these are no loops.
- counted: the same tokens but for one counter, ``17. Fish 18. Fish``. Numbers without words,
  and numbered lines of data or code, are no loops.
- shuffled: a few phrases in changing order. Text that occurred two or three times before, like
  a program and its corrected version, is no loop.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable

_NGRAM = 4
"""Tokens of an n-gram; its second occurrence begins a repetition."""

_PROSE_TOKENS, _LAYOUT_TOKENS = 96, 320
"""A repetition is a loop after so many tokens and two more periods: in prose, in layout."""

_LAYOUT = frozenset("<>|{}[]")
_DATA = _LAYOUT | frozenset('=;"')
_NUMBER = -1
"""The symbol that stands for every number."""

_PHRASE, _WINDOW = 6, 256
_MAX_SHOWN = 3
_MIN_STALE, _MIN_WORDS = 0.9 * _WINDOW, 0.6 * _WINDOW


class RepetitionGuard:
    """Watches the tokens of one reply; ``piece`` gives a token's bytes.

    ``num_repeated``: tokens at the end of a looping reply that only repeat what stands before
    them, so they may be cut off.
    """

    def __init__(self, piece: Callable[[int], bytes]) -> None:
        self._piece = piece
        self._texts: dict[int, str] = {}
        self._tokens = _Repetition()
        self._counted = _Counting()
        self._phrases = _Phrases()
        self._num_forced = 0
        self.num_repeated = 0

    def add(self, token: int, *, is_forced: bool = False) -> bool:
        """Whether the reply, with this token, only repeats itself.

        A reply to which its format left no choice for as long as a loop takes is none.
        """
        self._num_forced = self._num_forced + 1 if is_forced else 0
        text = self._texts.get(token)
        if text is None:  # half a character becomes U+FFFD, which is not a letter
            text = self._texts[token] = self._piece(token).decode("utf-8", "replace")
        self._tokens.add(token)
        self._counted.add(token, text)
        self._phrases.add(token, is_word=any(map(str.isalpha, text)))
        if self._num_forced >= _PROSE_TOKENS:
            return False
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


class _Repetition:
    """Counts how many of the last symbols equal those ``period`` positions before.

    The period is the distance to the previous occurrence of the newest n-gram. It is kept until
    a symbol breaks it, so each symbol costs one lookup.
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
        """Whether the repetition is long enough; True only once in each period."""
        beyond = self._num_equal - num_symbols - 2 * self.period
        return self.period > 0 and beyond >= 0 and beyond % self.period == 0

    def block(self) -> list[int]:
        """The symbols of one period."""
        return self._symbols[-self.period :]

    def tail(self) -> int:
        """How many symbols at the end equal those one period before, over the whole reply."""
        start = len(self._symbols)
        while start > self.period and (
            self._symbols[start - 1] == self._symbols[start - 1 - self.period]
        ):
            start -= 1
        return len(self._symbols) - start


class _Counting:
    """A repetition in which all numbers are the same symbol; their values are kept apart."""

    def __init__(self) -> None:
        self._repetition = _Repetition()
        self._values: list[str] = []
        self._starts: list[int] = []
        self._num_tokens = 0
        self._digits = ""

    def add(self, token: int, text: str) -> None:
        if not (text.strip().isdecimal() and text.isascii()):
            self._close_number()
            self._starts.append(self._num_tokens)
            self._values.append(text)
            self._repetition.add(token)
        elif self._digits and not text[0].isspace():
            self._digits += text
        else:
            self._close_number()
            self._digits = text
            self._starts.append(self._num_tokens)
        self._num_tokens += 1

    def is_loop(self) -> bool:
        """Whether one counter increases and everything else is repeated."""
        return (
            self._repetition.is_due(_PROSE_TOKENS)
            and not self._digits
            and _is_prose("".join(self._values[-self._repetition.period :]), _DATA)
            and self._only_counts()
        )

    def tail(self) -> int:
        """Like ``_Repetition.tail``, in tokens."""
        return self._num_tokens - self._starts[len(self._repetition) - self._repetition.tail()]

    def _close_number(self) -> None:
        if self._digits:
            self._values.append(self._digits)
            self._repetition.add(_NUMBER)
            self._digits = ""

    def _only_counts(self) -> bool:
        """Whether each number is the same as a period before, or increased with one counter.

        A counter that occurs n times in a period increases by n from one period to the next.
        """
        period = self._repetition.period
        now, before = self._values[-period:], self._values[-2 * period : -period]
        steps = [int(new) - int(old) for new, old in zip(now, before, strict=True) if new != old]
        return all(step == len(steps) for step in steps)


class _Phrases:
    """Whether most of the last ``_WINDOW`` tokens belong to phrases that occurred often before."""

    def __init__(self) -> None:
        self._newest: deque[int] = deque(maxlen=_PHRASE)
        self._num_shown: Counter[tuple[int, ...]] = Counter()
        self._stale, self._words = _WindowCount(), _WindowCount()
        self.are_stale = False

    def add(self, token: int, *, is_word: bool) -> None:
        self._newest.append(token)
        phrase = tuple(self._newest)
        num_stale = self._stale.add(self._num_shown[phrase] >= _MAX_SHOWN)
        self._num_shown[phrase] += 1
        num_words = self._words.add(is_word)
        self.are_stale = num_stale >= _MIN_STALE and num_words >= _MIN_WORDS


class _WindowCount:
    """How many of the last ``_WINDOW`` tokens are of a kind."""

    def __init__(self) -> None:
        self._window: deque[bool] = deque([False] * _WINDOW)
        self._num = 0

    def add(self, is_of_kind: bool) -> int:
        self._window.append(is_of_kind)
        self._num += is_of_kind - self._window.popleft()
        return self._num


def _is_prose(block: str, marks: frozenset[str]) -> bool:
    return any(map(str.isalpha, block)) and marks.isdisjoint(block)

"""Bytes of tokens to text: whole characters only, and nothing from a stop string on."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from typing import AnyStr

_LINE_ENDS = dict.fromkeys(map(ord, "\x0b\x0c\x85\u2028\u2029"), "\n")
_CONTROLS = dict.fromkeys([*range(0x09), 0x0D, *range(0x0E, 0x20), *range(0x7F, 0xA0)])
_PLAIN = {**_CONTROLS, **_LINE_ENDS}
"""Lines end in one way only, whatever reads them, and nothing is invisible."""


class TextStream:
    """Turns token bytes into text that may be shown.

    A character may span tokens: its bytes wait until it is whole. Text that could be the
    beginning of a stop string waits until it is known not to be one. ``is_stopped`` once a
    stop string was seen; what stood before it has been returned, it and what follows not.
    """

    def __init__(self, stop: Sequence[str] = ()) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._stop = tuple(s for s in stop if s)
        self._held = ""
        self.is_stopped = False

    def feed(self, piece: bytes) -> str:
        """Text that became certain with this token's bytes; often empty."""
        text = self._decoder.decode(piece).translate(_PLAIN)
        return self._release(text) if self._stop else text

    def flush(self) -> str:
        """What is left when the reply ends; half a character becomes U+FFFD."""
        if self.is_stopped:
            return ""
        text = self._release(self._decoder.decode(b"", final=True))
        held, self._held = self._held, ""
        return text + held

    def _release(self, text: str) -> str:
        if self.is_stopped:
            return ""
        text = self._held + text
        found = [(at + len(s), at) for s in self._stop if (at := text.find(s)) >= 0]
        if found:
            _, cut = min(found)  # the one that was complete first, however the text came
            self.is_stopped, self._held = True, ""
            return text[:cut]
        keep = max((overlap(text, s) for s in self._stop), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]


def overlap(text: AnyStr, stop: AnyStr) -> int:
    """Length of the longest end of ``text`` that is a proper beginning of ``stop``."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if stop.startswith(text[-n:])), 0)

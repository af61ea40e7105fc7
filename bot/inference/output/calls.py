"""Separates the calls of tools from the text of an answer."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import AnyStr

from bot.inference.core.calls import CallSyntax, as_bytes

_NAME = rb"([A-Za-z0-9_-]+)"


def overlap(text: AnyStr, stop: AnyStr) -> int:
    """Length of the longest end of ``text`` that is a proper beginning of ``stop``."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if stop.startswith(text[-n:])), 0)


@dataclass(frozen=True, slots=True)
class CallPart:
    """More of call number ``index``; its ``name`` comes first, before its arguments."""

    index: int
    name: str = ""
    arguments: str = ""


class JsonEnd:
    """Finds the end of a JSON object in bytes that come piece by piece."""

    def __init__(self) -> None:
        self._depth = 0
        self._is_string = self._is_escaped = False

    def find(self, data: bytes) -> int | None:
        """How many of these bytes belong to the object, if it ends with them."""
        for number, byte in enumerate(data, 1):
            if self._is_string:
                self._in_string(byte)
            elif byte == 0x22:
                self._is_string = True
            elif byte in b"{[":
                self._depth += 1
            elif byte in b"}]":
                self._depth -= 1
                if not self._depth:
                    return number
        return None

    def _in_string(self, byte: int) -> None:
        if self._is_escaped:
            self._is_escaped = False
        elif byte == 0x5C:
            self._is_escaped = True
        elif byte == 0x22:
            self._is_string = False


class CallSplitter:
    """Splits the bytes of an answer, as a ``CallGrammar`` has formed it, into text and calls.

    White space between the text and a call is dropped. Every byte of the arguments is kept.
    """

    def __init__(self, syntax: CallSyntax) -> None:
        self._begins, self._opens = as_bytes(syntax.begins), as_bytes(syntax.opens)
        arguments = _NAME + re.escape(as_bytes(syntax.arguments).rstrip()) + rb"\s*\{"
        self._head = re.compile(re.escape(self._begins + self._opens) + arguments)
        self._next = re.compile(re.escape(as_bytes(syntax.next)) + arguments)
        self._held = b""
        self._is_text = True
        self._is_certain = False
        self._end: JsonEnd | None = None
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self.num_calls = 0

    def feed(self, data: bytes) -> list[bytes | CallPart]:
        """The text and the calls that are certain with these bytes; often none."""
        if self._is_certain:
            return [data] if data else []
        self._held += data
        parts: list[bytes | CallPart] = []
        if self._is_text and (text := self._find_call()):
            parts.append(text)
        if not self._is_text:
            parts += self._calls()
        return parts

    def flush(self, *, is_cut: bool = False) -> bytes:
        """The text that was held back, when the reply ends; if it was cut, no part of a call."""
        held, self._held = self._held, b""
        if is_cut and (num_begun := overlap(held, self._begins)):
            held = held[:-num_begun].rstrip()
        return held if self._is_text else b""

    def _find_call(self) -> bytes:
        """The text before a call, or as much as cannot be the beginning of one."""
        held = self._held
        if not self._begins:
            return self._find_beginning()
        if (at := held.find(self._begins)) >= 0:
            self._is_text, self._held = False, held[at:]
            return held[:at].rstrip()
        text = held[: len(held) - overlap(held, self._begins)].rstrip()
        self._held = held[len(text) :]
        return text

    def _find_beginning(self) -> bytes:
        """A call is the whole reply, or there is none."""
        beginning = self._held.lstrip()
        if not beginning:
            return b""
        self._is_text = not beginning.startswith(self._opens[:1])
        self._is_certain = self._is_text
        self._held = b"" if self._is_text else beginning
        return beginning if self._is_text else b""

    def _calls(self) -> Iterator[CallPart]:
        while self._end is not None or (name := self._found_name()):
            if self._end is None:
                self._end = JsonEnd()
                yield CallPart(self.num_calls, name=name)
                self.num_calls += 1
            size = self._end.find(self._held)
            written, self._held = self._held[:size], b"" if size is None else self._held[size:]
            if text := self._decoder.decode(written):
                yield CallPart(self.num_calls - 1, arguments=text)
            if size is None:
                return
            self._end = None

    def _found_name(self) -> str:
        """The name of the next call, once its arguments begin; until then empty."""
        found = (self._next if self.num_calls else self._head).match(self._held)
        if found is None:
            return ""
        self._held = self._held[found.end() - 1 :]
        return found[1].decode()

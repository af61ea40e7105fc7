"""Where Markdown may be cut, so that every part can be rendered alone (pure).

A cut never falls inside a word, a link, an inline code span or a fence line. A code fence
that is open at a cut is closed there and opened again, with the same info string, in the
next part. A link or a word is cut only where nothing else fits, then between graphemes.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import count

from bot.delivery.spans import (
    begins_block,
    is_after_space,
    is_between_graphemes,
    may_break,
    unbreakable,
)
from bot.types import Rendered

_FENCE_LINE = re.compile(r"([ \t]*)(`{3,}|~{3,})([^\n]{0,200})")
_BREAK = re.compile(r"[ \t\r\n]+|(?<=[。！？；])(?=\S)")
_SENTENCE_ENDS = (".", "!", "?", ":", "。", "！", "？", "；")
_FULL = 0.98
"""The share of ``max_size`` that is as good as all of it."""

_NUM_GUESSES = 3
_MARGIN = 500
"""A part is searched in one and a half times ``max_size`` and so many characters."""


@dataclass(frozen=True, slots=True)
class Fence:
    """An open code fence, as its first line opened it."""

    indent: str
    marker: str
    info: str

    @property
    def opening(self) -> str:
        return f"{self.indent}{self.marker}{self.info}"

    @property
    def closing(self) -> str:
        return f"{self.indent}{self.marker}"

    def is_closed_by(self, line: str) -> bool:
        mark = line.strip()
        return len(mark) >= len(self.marker) and set(mark) == {self.marker[0]}

    @classmethod
    def opened_by(cls, line: str) -> Fence | None:
        match = _FENCE_LINE.fullmatch(line.rstrip("\r\n"))
        if match is None or (match[2][0] == "`" and "`" in match[3]):
            return None
        return cls(match[1], match[2], match[3])


class Rank(IntEnum):
    """How good a place for a cut is, from worst to best."""

    ANYWHERE = 0
    WORD = 1
    SENTENCE = 2
    LINE = 3
    PARAGRAPH = 4


@dataclass(frozen=True, slots=True)
class Cut:
    """The text before ``position`` goes into this part; ``fence`` is open there."""

    position: int
    fence: Fence | None
    rank: Rank


@dataclass(frozen=True, slots=True)
class MarkdownPart:
    """Markdown that can be rendered alone, and where in the source it ends."""

    text: str
    end: int
    fence: Fence | None


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Lines of one kind: text, lines of code inside ``fence``, or a line of a fence itself."""

    start: int
    end: int
    fence: Fence | None
    is_fence_line: bool = False


Size = Callable[[str], int]
"""The rendered size; it should roughly grow with the text."""


@dataclass(frozen=True, slots=True)
class _Page:
    text: Rendered
    end: int
    fence: Fence | None


class Layout:
    """Which part of a growing text is shown in which message of a reply.

    Cuts are made where ``render`` of a part fits, and stay while the text before them does.
    """

    def __init__(self, render: Callable[[str], Rendered], max_size: int) -> None:
        self._render = render
        self._max_size = max_size
        self._smaller: dict[int, int] = {}
        self._markdown = ""
        self._full: list[_Page] = []
        self._last: _Page | None = None

    def parts(self, markdown: str) -> list[Rendered]:
        """The text of each message that is not blank."""
        if markdown != self._markdown or not (self._full or self._last):
            self._lay_out(markdown)
        pages = [*self._full, self._last] if self._last else self._full
        return [page.text for page in pages if page.text.strip()]

    def shrink(self, part: int, size: int) -> None:
        """The platform refused ``size``: this part is cut again, at half of that."""
        self._smaller[part] = max(1, size // 2)
        del self._full[part:]
        self._last = None
        self._markdown = self._markdown[: self._full[-1].end] if self._full else ""

    def _lay_out(self, markdown: str) -> None:
        while self._full and not markdown.startswith(self._markdown[: self._full[-1].end]):
            self._full.pop()
        self._markdown, self._last = markdown, None
        while self._last is None:
            start, fence = (self._full[-1].end, self._full[-1].fence) if self._full else (0, None)
            max_size = self._smaller.get(len(self._full), self._max_size)
            part = next_part(markdown, start, fence, self._size, max_size)
            if part is None:
                return
            page = _Page(self._render(part.text), part.end, part.fence)
            if part.end < len(markdown):
                self._full.append(page)
            else:
                self._last = page

    def _size(self, text: str) -> int:
        return len(self._render(text))


def next_part(
    markdown: str, start: int, fence: Fence | None, size: Size, max_size: int
) -> MarkdownPart | None:
    """The part that begins at ``start``, where ``fence`` is open; None if no text is left.

    The whole rest is one part, if it fits.
    """
    start, fence = _skip_blank(markdown, start, fence)
    window = markdown[start : start + max_size + max_size // 2 + _MARGIN]
    if not window.strip() or (fence and not window.strip(" \t\r\n`~")):
        return None
    if start + len(window) == len(markdown):
        last = Cut(len(window), open_fence(window, fence), Rank.PARAGRAPH)
        part = _part(window, start, fence, last)
        if size(part.text) <= max_size:
            return part
    return _longest(window, start, fence, size, max_size)


def open_fence(markdown: str, fence: Fence | None = None) -> Fence | None:
    """The code fence that is open at the end, if ``fence`` was at the beginning."""
    for stretch in _stretches(markdown, fence):
        fence = stretch.fence
    return fence


def complete(markdown: str, fence: Fence | None = None) -> str:
    """The text with its open fence closed, and ``fence`` opened at its beginning."""
    return _whole(markdown, fence, open_fence(markdown, fence))


def safe_cuts(markdown: str, fence: Fence | None = None) -> list[Cut]:
    """Every place where the text may be cut without breaking anything, in order."""
    cuts: list[Cut] = []
    for stretch in _stretches(markdown, fence):
        if stretch.is_fence_line:
            is_closing = stretch.fence is None
            found = [Cut(stretch.end, None, Rank.LINE)] if is_closing else []
        elif stretch.fence:
            found = list(_cuts_in_code(markdown, stretch))
        else:
            found = list(_cuts_in_text(markdown, stretch))
        cuts += found
    indentation = len(markdown) - len(markdown.lstrip())
    return [cut for cut in cuts if cut.position > indentation]


def _longest(
    window: str, start: int, fence: Fence | None, size: Size, max_size: int
) -> MarkdownPart:
    def size_of(cut: Cut) -> int:
        return size(_part(window, start, fence, cut).text)

    for cuts in _ever_worse_cuts(window, fence):
        if (last := _last_fitting(cuts, size_of, max_size)) is not None:
            near = [
                cut for cut in cuts if last.position * 2 <= cut.position * 3 <= last.position * 3
            ]
            nicest = max(near, key=lambda cut: (cut.rank, cut.position))
            fits = nicest is last or size_of(nicest) <= max_size
            return _part(window, start, fence, nicest if fits else last)
    return _part(window, start, fence, Cut(1, fence, Rank.ANYWHERE))


def _ever_worse_cuts(window: str, fence: Fence | None) -> Iterator[list[Cut]]:
    yield safe_cuts(window, fence)
    for is_possible in (is_after_space, is_between_graphemes):
        yield [
            Cut(position, stretch.fence, Rank.ANYWHERE)
            for stretch in _stretches(window, fence)
            if not stretch.is_fence_line
            for position in range(stretch.start + 1, stretch.end)
            if is_possible(window, position) and not begins_block(window, position)
        ]


def _last_fitting(cuts: Sequence[Cut], size_of: Callable[[Cut], int], max_size: int) -> Cut | None:
    """A cut that fits and fills a part, or nearly so; None if not even the first one fits.

    Rendering is slow, so a bisection begins with guesses: most markup renders about as long
    as it is, or else in proportion.
    """
    low, high, guess = 0, len(cuts), _FULL * max_size
    for attempt in count():
        if low == high:
            break
        middle = (low + high) // 2
        if attempt < _NUM_GUESSES:
            middle = bisect_right(cuts, guess, low, high - 1, key=lambda cut: cut.position)
        size = size_of(cuts[middle])
        guess = cuts[middle].position * _FULL * max_size / max(size, 1)
        if size > max_size:
            high = middle
            continue
        low = middle + 1
        if size >= _FULL * max_size:
            break
    return cuts[low - 1] if low else None


def _part(window: str, start: int, fence: Fence | None, cut: Cut) -> MarkdownPart:
    text = _whole(window[: cut.position], fence, cut.fence)
    return MarkdownPart(text, start + cut.position, cut.fence)


def _whole(body: str, before: Fence | None, after: Fence | None) -> str:
    body = body.rstrip()
    if after and after is not before:
        body, after = _without_dangling(body, before, after)
    lines = [before.opening] if before else []
    lines.append(body)
    if after:
        lines.append(after.closing)
    return "\n".join(lines)


def _without_dangling(body: str, before: Fence | None, after: Fence) -> tuple[str, Fence | None]:
    """The line that opens a fence is held back until there is code in it."""
    head, _, last = body.rpartition("\n")
    if last == after.opening.rstrip() and open_fence(head, before) is None:
        return head.rstrip(), None
    return body, after


def _skip_blank(markdown: str, start: int, fence: Fence | None) -> tuple[int, Fence | None]:
    """Skip empty lines, and the end of a fence that was closed at the last cut."""
    for line in _lines(markdown, start):
        if fence and fence.is_closed_by(line):
            fence = None
        elif line.strip():
            break
        start += len(line)
    return start, fence


def _lines(markdown: str, start: int = 0) -> Iterator[str]:
    while start < len(markdown):
        end = markdown.find("\n", start) + 1 or len(markdown)
        yield markdown[start:end]
        start = end


def _stretches(markdown: str, fence: Fence | None) -> Iterator[_Stretch]:
    """Cover the text without gaps; each carries the fence that is open at its end."""
    start = end = 0
    for line in _lines(markdown):
        if fence is None:
            after = Fence.opened_by(line)
        else:
            after = None if fence.is_closed_by(line) else fence
        if after is not fence:
            if start < end:
                yield _Stretch(start, end, fence)
            start = end + len(line)
            yield _Stretch(end, start, after, is_fence_line=True)
            fence = after
        end += len(line)
    if start < end:
        yield _Stretch(start, end, fence)


def _cuts_in_code(markdown: str, stretch: _Stretch) -> Iterator[Cut]:
    """After each line, except the last before the closing line: the next part would be empty."""
    position = stretch.start
    for line in _lines(markdown[: stretch.end], stretch.start):
        position += len(line)
        if line.endswith("\n") and (position < stretch.end or position == len(markdown)):
            yield Cut(position, stretch.fence, Rank.LINE)


def _cuts_in_text(markdown: str, stretch: _Stretch) -> Iterator[Cut]:
    text = markdown[stretch.start : stretch.end]
    spans = iter([*unbreakable(text), (len(text) + 1, len(text) + 1)])
    span = next(spans)
    for match in _BREAK.finditer(text):
        while span[1] <= match.start():
            span = next(spans)
        is_inside = span[0] < match.end()
        if not is_inside and may_break(text, match.start(), match.end()):
            space = match[0]
            position = match.start() + (space.rfind("\n") + 1 or len(space))
            yield Cut(stretch.start + position, None, _rank(text, match))


def _rank(text: str, match: re.Match[str]) -> Rank:
    num_newlines = match[0].count("\n")
    if num_newlines:
        return Rank.PARAGRAPH if num_newlines > 1 else Rank.LINE
    is_sentence = text.endswith(_SENTENCE_ENDS, 0, match.start())
    return Rank.SENTENCE if is_sentence else Rank.WORD

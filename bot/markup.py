"""Where Markdown may be cut, so that every part is whole in itself (pure).

A cut never falls inside a word, a link, an inline code span or a fence line. A code fence
that is open at a cut is closed there and opened again, with the same info string, in the
next part. Only where nothing else fits is a link or a word cut, then between graphemes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from bot.spans import is_between_graphemes, unbreakable

_FENCE_LINE = re.compile(r"([ \t]*)(`{3,}|~{3,})([^\n]{0,200})")
_BREAK = re.compile(r"[ \t\r\n]+|(?<=[。！？；])(?=\S)")
_SENTENCE_ENDS = (".", "!", "?", ":", "。", "！", "？", "；")
_LIST_MARKER = re.compile(r"[ \t>]*(?:[-*+]|\d{1,9}[.)]|#{1,6}|>)")
_WINDOW = 4
"""A part is looked for in this many times ``max_size`` characters of Markdown."""


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
    """How good a place for a cut is."""

    ANYWHERE = 0
    WORD = 1
    SENTENCE = 2
    LINE = 3
    PARAGRAPH = 4


@dataclass(frozen=True, slots=True)
class Cut:
    """Text before ``position`` goes into this part; ``fence`` is open there."""

    position: int
    fence: Fence | None
    rank: Rank


@dataclass(frozen=True, slots=True)
class Part:
    """Markdown that stands for itself, and where in the source it ends."""

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


Fits = Callable[[str], bool]


def next_part(
    markdown: str, start: int, fence: Fence | None, fits: Fits, max_size: int
) -> Part | None:
    """The part that begins at ``start``, where ``fence`` is open; None if nothing is left.

    It is all that is left, if that fits. ``fits`` need not grow with the text, but should
    roughly do so; ``max_size`` is about what fits.
    """
    start, fence = _skip_blank(markdown, start, fence)
    window = markdown[start : start + _WINDOW * max_size]
    if not window.strip() or (fence and not window.strip(" \t\r\n`~")):
        return None
    if start + len(window) == len(markdown):
        last = Cut(len(window), open_fence(window, fence), Rank.PARAGRAPH)
        part = _part(window, start, fence, last)
        if fits(part.text):
            return part
    return _longest(window, start, fence, fits)


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


def _longest(window: str, start: int, fence: Fence | None, fits: Fits) -> Part:
    def is_good(cut: Cut) -> bool:
        return fits(_part(window, start, fence, cut).text)

    for cuts in _ever_worse_cuts(window, fence):
        if (best := _best(cuts, is_good)) is not None:
            return _part(window, start, fence, best)
    return _part(window, start, fence, Cut(1, fence, Rank.ANYWHERE))


def _ever_worse_cuts(window: str, fence: Fence | None) -> Iterator[list[Cut]]:
    yield safe_cuts(window, fence)
    for is_possible in (_is_after_space, is_between_graphemes):
        yield [
            Cut(position, stretch.fence, Rank.ANYWHERE)
            for stretch in _stretches(window, fence)
            if not stretch.is_fence_line
            for position in range(stretch.start + 1, stretch.end)
            if is_possible(window, position)
        ]


def _best(cuts: Sequence[Cut], is_good: Callable[[Cut], bool]) -> Cut | None:
    """The last good cut, or one up to a third earlier at the end of a line or sentence."""
    low, high = 0, len(cuts)
    while low < high:
        middle = (low + high) // 2
        if is_good(cuts[middle]):
            low = middle + 1
        else:
            high = middle
    if low == 0:
        return None
    last = cuts[low - 1]
    near = [cut for cut in cuts[:low] if cut.position * 3 >= last.position * 2]
    nicest = max(near, key=lambda cut: (cut.rank, cut.position))
    return nicest if nicest is last or is_good(nicest) else last


def _part(window: str, start: int, fence: Fence | None, cut: Cut) -> Part:
    text = _whole(window[: cut.position], fence, cut.fence)
    return Part(text, start + cut.position, cut.fence)


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
    """Past empty lines, and past the end of a fence that was closed at the last cut."""
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
        after = _fence_after(line, fence)
        if after is not fence:
            if start < end:
                yield _Stretch(start, end, fence)
            start = end + len(line)
            yield _Stretch(end, start, after, is_fence_line=True)
            fence = after
        end += len(line)
    if start < end:
        yield _Stretch(start, end, fence)


def _fence_after(line: str, fence: Fence | None) -> Fence | None:
    if fence is None:
        return Fence.opened_by(line)
    return None if fence.is_closed_by(line) else fence


def _cuts_in_code(markdown: str, stretch: _Stretch) -> Iterator[Cut]:
    """After each line; not after the last before the closing line, or the next were empty."""
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
        if not is_inside and not _is_after_list_marker(text, match.start()):
            position = match.start() + _up_to_indentation(match[0])
            yield Cut(stretch.start + position, None, _rank(text, match))


def _up_to_indentation(space: str) -> int:
    return space.rfind("\n") + 1 or len(space)


def _rank(text: str, match: re.Match[str]) -> Rank:
    num_newlines = match[0].count("\n")
    if num_newlines:
        return Rank.PARAGRAPH if num_newlines > 1 else Rank.LINE
    is_sentence = text.endswith(_SENTENCE_ENDS, 0, match.start())
    return Rank.SENTENCE if is_sentence else Rank.WORD


def _is_after_list_marker(text: str, position: int) -> bool:
    line_start = text.rfind("\n", 0, position) + 1
    return _LIST_MARKER.fullmatch(text, line_start, position) is not None


def _is_after_space(text: str, position: int) -> bool:
    return text[position - 1].isspace() and not text[position].isspace()

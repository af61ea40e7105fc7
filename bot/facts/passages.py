"""Documents in passages: of one section, with the headings above it, by sentences; pure.

A passage is a span of its document, letter by letter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice, pairwise, takewhile
from typing import NamedTuple

from bot.facts.words import is_unspaced, num_words

_WORDS = 160
"""A passage ends once it has as many, where a paragraph ends."""

_MAX_WORDS = 220
_MIN_WORDS = 60
"""Sections with fewer go together with their neighbours, if that fits."""

_MAX_HEADING = 300
"""Characters of a heading, a longer line is text; and of the head of a table, no more of it is
repeated.
"""

_MAX_RECORD = 8_000
"""Characters of a row of CSV: a quote that nothing closes does not go on for ever."""

_LINE = re.compile(r"[^\n]*\n?")
_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(.*?)[ \t]*#*[ \t]*$")
_UNDERLINE = re.compile(r" {0,3}(=+|-{2,})[ \t]*$")
_FENCE = re.compile(r" {0,3}(```+|~~~+)")
_ITEM = re.compile(r"\s*([-*+•]|\d{1,3}[.)])\s")
_END = re.compile(
    r"[.!?…][\"'»”’)\]]*\s+(?=[\"'«„“‘(\[¿¡]*[^\W\d_a-zß-öø-ÿ])"
    r"|[。！？]+\s*"
    r"|\n(?=\s*(?:[-*+•|]|\d{1,3}[.)])\s)"
)
"""Of a sentence, an item of a list or a row."""

_ABBREVIATION = re.compile(r"(?:^|[\s(])(?:[^\W\d_]{1,3}|\S*\.\S*)\.\Z")
_WORD = re.compile(r"\S+\s*")
_MARKUP = re.compile(r"[*_`]+|\[([^\]]*)\]\([^)]*\)")


class Form(StrEnum):
    """How a document is structured."""

    MARKDOWN = "markdown"
    PLAIN = "plain"
    TABLE = "table"


@dataclass(frozen=True, slots=True)
class Passage:
    """``heading``: what stands above it, outermost first; of a table's rows its head."""

    text: str
    heading: tuple[str, ...] = ()


class _Block(NamedTuple):
    """A paragraph, or a part of one that is long.

    ``above``: where the heading begins of which it is the first; None of others.
    """

    start: int
    end: int
    num_words: int
    heading: tuple[str, ...]
    above: int | None


def passages_of(text: str, form: Form) -> list[Passage]:
    """In their order; together they are the document, but for headings and blank lines."""
    if form is Form.TABLE:
        return list(_rows(text))
    blocks = [
        part for block in _blocks(text, form is Form.MARKDOWN) for part in _parts(text, block)
    ]
    return [_passage(text, group) for group in _groups(blocks)]


def _passage(text: str, group: Sequence[_Block]) -> Passage:
    """Of several sections: with their headings in the text."""
    heading = _common(block.heading for block in group)
    is_one = all(block.heading == heading for block in group)
    start = group[0].start if is_one else group[0].above
    return Passage(_trimmed(text[start : group[-1].end]), heading)


def _trimmed(text: str) -> str:
    """Its first line keeps its indentation."""
    return text.strip("\n").rstrip()


def _common(headings: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    levels = takewhile(lambda titles: len(set(titles)) == 1, zip(*headings, strict=False))
    return tuple(titles[0] for titles in levels)


def _groups(blocks: Iterable[_Block]) -> Iterator[list[_Block]]:
    group: list[_Block] = []
    size = 0
    for block in blocks:
        if group and not _goes_on(group, size, block):
            yield group
            group, size = [], 0
        group.append(block)
        size += block.num_words
    if group:
        yield group


def _goes_on(group: list[_Block], size: int, block: _Block) -> bool:
    if size + block.num_words > _MAX_WORDS:
        return False
    if block.heading == group[-1].heading:
        return size < _WORDS
    if group[0].above is None or not _common((group[0].heading, block.heading)):
        return False
    return max(size, block.num_words) < _MIN_WORDS


def _blocks(text: str, has_headings: bool) -> Iterator[_Block]:
    """Paragraphs, with the headings above them; and headings that nothing stands below."""
    headings: list[tuple[int, str]] = []
    start, fence, alone = -1, "", (0, 0)
    above: int | None = None
    for line_start, line_end in _lines(text):
        line = text[line_start:line_end]
        is_short = start >= 0 and line_start - start <= _MAX_HEADING
        before = text[start:line_start] if is_short else ""
        may_be_one = has_headings and not fence and len(line) <= _MAX_HEADING
        heading = _heading_of(line, before) if may_be_one else None
        if heading is None and (line.strip() or fence):
            start = line_start if start < 0 else start
            fence = _fence_after(fence, line)
            end = line_end
            continue
        is_setext = heading is not None and heading.is_above
        if start >= 0 and not is_setext:
            yield _block(text, start, end, headings, above)
            above, alone = None, (0, 0)
        if heading is not None:
            if any(alone) and headings and heading.level <= headings[-1][0]:
                yield _block(text, *alone, headings[:-1], alone[0])
            headings = [h for h in headings if h[0] < heading.level]
            headings.append((heading.level, heading.title))
            above = start if is_setext else line_start
            alone = (above, line_end)
        start = -1
    if start >= 0:
        yield _block(text, start, end, headings, above)
    elif any(alone):
        yield _block(text, *alone, headings[:-1], alone[0])


def _lines(text: str) -> Iterator[tuple[int, int]]:
    for found in _LINE.finditer(text):
        if found.end() > found.start():
            yield found.span()


class _Heading(NamedTuple):
    """``is_above``: its title is the line before this one."""

    level: int
    title: str
    is_above: bool


def _heading_of(line: str, before: str) -> _Heading | None:
    """``before``: the paragraph that this line would go on, where it is short."""
    bare = line.rstrip("\n")
    if found := _HEADING.match(bare):
        return _Heading(len(found[1]), _plain(found[2]), False)
    if before and (found := _UNDERLINE.match(bare)):
        title = before.strip()
        if title and "\n" not in title and not _ITEM.match(title) and "|" not in title:
            return _Heading(1 if found[1][0] == "=" else 2, _plain(title), True)
    return None


def _plain(title: str) -> str:
    return " ".join(_MARKUP.sub(r"\1", title).split())


def _fence_after(fence: str, line: str) -> str:
    """The fence that is open after this line, or none."""
    found = _FENCE.match(line)
    if found is None:
        return fence
    if not fence:
        return found[1]
    return "" if found[1].startswith(fence) else fence


def _block(
    text: str, start: int, end: int, headings: Sequence[tuple[int, str]], above: int | None
) -> _Block:
    titles = tuple(title for _, title in headings if title)
    return _Block(start, end, num_words(text[start:end]), titles, above)


def _parts(text: str, block: _Block) -> Iterator[_Block]:
    """A long block by its lines or sentences; one of a table with the table's head above."""
    if block.num_words <= _MAX_WORDS:
        yield block
        return
    head = _head_of_table(text, block)
    for number, (start, end) in enumerate(_spans(text, block.start, block.end)):
        heading = (*block.heading, head) if head and number else block.heading
        above = None if number else block.above
        yield _Block(start, end, num_words(text[start:end]), heading, above)


def _head_of_table(text: str, block: _Block) -> str:
    lines = text[block.start : block.end].split("\n", 2)
    is_table = len(lines) > 2 and not set(lines[1]) - set("|-: \t") and "|" in lines[1]
    return lines[0].strip("| \t")[:_MAX_HEADING] if is_table else ""


def _spans(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Parts of about the length of a passage, from one border to another."""
    size, begin = 0, start
    for part_start, part_end in pairwise([start, *_borders(text, start, end), end]):
        more = num_words(text[part_start:part_end])
        if size and (size >= _WORDS or size + more > _MAX_WORDS):
            yield begin, part_start
            size, begin = 0, part_start
        size += more
    if begin < end:
        yield begin, end


def _borders(text: str, start: int, end: int) -> Iterator[int]:
    """Where sentences end; where there is no such end for long, where lines or words do."""
    last = start
    for border in [*_ends(text, start, end), end]:
        while _is_long(text, last, border) and (cut := _cut(text, last, border)):
            last = cut
            yield last
        last = border
        if border < end:
            yield border


def _is_long(text: str, start: int, end: int) -> bool:
    return num_words(text[start : min(end, start + _MAX_WORDS * 24)]) > _MAX_WORDS


def _ends(text: str, start: int, end: int) -> list[int]:
    return [
        found.end()
        for found in _END.finditer(text, start, end)
        if not _ABBREVIATION.search(text[max(start, found.start() - 12) : found.start() + 1])
    ]


def _cut(text: str, start: int, end: int) -> int:
    """After at most as many words as a passage has: behind a line, a comma, a space; or 0."""
    furthest = min(end, start + _WORDS * (2 if is_unspaced(text[start : start + 40]) else 12))
    words = islice(_WORD.finditer(text, start, furthest), _WORDS)
    limit = max((found.end() for found in words), default=end)
    if limit >= end:
        return 0
    for mark in ("\n", ";", ",", " "):
        at = text.rfind(mark, start + (limit - start) // 2, limit)
        if at > start:
            return at + 1
    return limit


def _rows(text: str) -> Iterator[Passage]:
    """Of a table with its head in the first row, which may span lines within quotes."""
    rows = list(_records(text))
    if not rows:
        return
    head = " ".join(text[slice(*rows[0])].split())
    is_head = len(rows) > 1 and len(head) <= _MAX_HEADING
    others = rows[1:] if is_head else rows
    heading = (head,) if is_head else ()
    begin = size = 0
    for number, (row_start, row_end) in enumerate(others):
        begin = begin if size else row_start
        size += num_words(text[row_start:row_end].replace(",", " ").replace(";", " "))
        if size >= _WORDS or number == len(others) - 1:
            parts = [(begin, row_end)] if size <= _MAX_WORDS else _spans(text, begin, row_end)
            yield from (Passage(_trimmed(text[slice(*each)]), heading) for each in parts)
            size = 0


def _records(text: str) -> Iterator[tuple[int, int]]:
    begin, is_open = -1, False
    for start, end in _lines(text):
        line = text[start:end]
        if begin < 0 and not line.strip():
            continue
        begin = start if begin < 0 else begin
        is_open ^= bool(line.count('"') % 2)
        if not is_open or end - begin > _MAX_RECORD:
            yield begin, end
            begin, is_open = -1, False
    if begin >= 0:
        yield begin, len(text)

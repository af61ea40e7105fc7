"""Cutting a block in two, so that the first part fits and both are whole blocks (pure).

Marks, quotes, items and code blocks that are open at the cut are closed before it and opened
again behind it, since each part has the nodes around it; a table has its head in both. Code
spans, links and formulas are cut only where nothing else fits, then between graphemes.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from enum import IntEnum
from functools import partial

from bot.markdown.drawing import table_lines
from bot.markdown.graphemes import is_between_graphemes
from bot.markdown.tree import (
    Block,
    CodeBlock,
    CodeSpan,
    Formula,
    Heading,
    LineBreak,
    Link,
    ListItem,
    Marked,
    Paragraph,
    Quote,
    Span,
    TableBlock,
    TextSpan,
    ThematicBreak,
    plain_text,
)

Fits = Callable[[Block], bool]
Halves = tuple[Block, Block]

_ATOM = "\ufffc"
_BREAK = re.compile(r"\n+ *| +\n* *|(?<=[。！？；])(?=\S)")
_SENTENCE_ENDS = (".", "!", "?", ":", "。", "！", "？", "；", "।", "؟", "…")


class Rank(IntEnum):
    """How good a place for a cut is, from worst to best."""

    ANYWHERE = 0
    WORD = 1
    SENTENCE = 2
    LINE = 3


def cut(block: Block, fits: Fits, room: int, *, must: bool) -> Halves | None:
    """The block in two, of which the first fits; None if it cannot be cut so.

    ``room``: more characters than that do not fit. ``must``: nothing stands above the block, so
    that it has to be cut somewhere, however ugly.
    """
    match block:
        case Paragraph(spans) | Heading(_, spans):
            return _cut_text(block, spans, fits, room, must=must)
        case CodeBlock():
            return _cut_code(block, fits, must=must)
        case TableBlock():
            return _cut_table(block, fits, must=must)
        case Quote(blocks):
            return _cut_container(block, blocks, fits, room, must=must)
        case ListItem(blocks):
            return _cut_container(block, blocks, fits, room, must=must)
        case ThematicBreak():
            return None


def rest_of(head: Block, block: Block) -> Block | None:
    """What stands behind ``head`` in a block that begins with it; None if it does not."""
    if head == block or head.hugs != block.hugs:
        return None
    match head, block:
        case CodeBlock(begun, info), CodeBlock(content) if info == block.info:
            rest = content.removeprefix(begun)
            return CodeBlock(rest.lstrip("\n"), info) if rest != content else None
        case TableBlock(names, begun_rows), TableBlock(other_names, rows) if names == other_names:
            rest_rows = rows[len(begun_rows) :]
            is_same = rows[: len(begun_rows)] == begun_rows
            return replace(block, rows=rest_rows, hugs=False) if rest_rows and is_same else None
        case Paragraph(begun_spans), Paragraph(spans):
            start, rest_spans = _split(spans, len(_units(begun_spans)))
            is_same = start == begun_spans and bool(rest_spans)
            return replace(block, spans=rest_spans, hugs=False) if is_same else None
        case Quote(begun_blocks), Quote(blocks):
            return _rest_of_blocks(begun_blocks, block, blocks)
        case ListItem(begun_blocks, number), ListItem(blocks, other) if number == other:
            return _rest_of_blocks(begun_blocks, block, blocks)
    return None


def _rest_of_blocks(
    head: tuple[Block, ...], block: Quote | ListItem, blocks: tuple[Block, ...]
) -> Block | None:
    last = len(head) - 1
    if len(blocks) < len(head) or head[:last] != blocks[:last]:
        return None
    if head[last] == blocks[last]:
        return _continued(block, blocks[last + 1 :]) if blocks[last + 1 :] else None
    rest = rest_of(head[last], blocks[last])
    return _continued(block, (rest, *blocks[last + 1 :])) if rest is not None else None


def _cut_container(
    block: Quote | ListItem, blocks: tuple[Block, ...], fits: Fits, room: int, *, must: bool
) -> Halves | None:
    def head_of(*inner: Block) -> Block:
        return replace(block, blocks=inner)

    num_whole = _last(range(len(blocks)), lambda n: fits(head_of(*blocks[:n])))
    if num_whole is None:
        return None
    whole, following = blocks[:num_whole], blocks[num_whole]
    halves = cut(following, lambda half: fits(head_of(*whole, half)), room, must=must and not whole)
    if halves is not None:
        rest = (halves[1], *blocks[num_whole + 1 :])
        return head_of(*whole, halves[0]), _continued(block, rest)
    while len(whole) > 1 and isinstance(whole[-1], Heading):
        whole = whole[:-1]
    return (head_of(*whole), _continued(block, blocks[len(whole) :])) if whole else None


def _continued(block: Quote | ListItem, rest: tuple[Block, ...]) -> Block:
    rest = (replace(rest[0], hugs=False), *rest[1:])
    if isinstance(block, ListItem):
        return replace(block, blocks=rest, is_continued=True, hugs=False)
    return replace(block, blocks=rest, hugs=False)


def _cut_code(block: CodeBlock, fits: Fits, *, must: bool) -> Halves | None:
    """After a line, better an empty one; within a line only where not even one fits."""
    lines = block.content.split("\n")

    def head_of(num_lines: int) -> CodeBlock:
        return replace(block, content="\n".join(lines[:num_lines]))

    num_lines = _last(range(1, len(lines)), lambda n: fits(head_of(n)))
    if num_lines is None:
        return _cut_line(block, fits) if must else None
    blank = (n for n in range(num_lines, num_lines * 2 // 3, -1) if not lines[n - 1].strip())
    num_lines = next(blank, num_lines)
    head = head_of(num_lines)
    rest = "\n".join(lines[num_lines:])
    return replace(head, content=head.content.rstrip("\n")), CodeBlock(
        rest.lstrip("\n"), block.info
    )


def _cut_line(block: CodeBlock, fits: Fits) -> Halves | None:
    content = block.content
    end = len(content.partition("\n")[0])
    places = [n for n in range(1, end) if is_between_graphemes(content, n)]
    found = _last(places, lambda n: fits(replace(block, content=content[:n])))
    if found is None:
        return None
    space = content.rfind(" ", found * 2 // 3, found) + 1
    found = space or found
    return replace(block, content=content[:found]), CodeBlock(content[found:], block.info)


def _cut_table(table: TableBlock, fits: Fits, *, must: bool) -> Halves | None:
    """Each part has the head. A row that is too long alone is cut as the code it looks like."""
    num_rows = _last(range(1, len(table.rows)), lambda n: fits(replace(table, rows=table.rows[:n])))
    if num_rows is not None:
        head = replace(table, rows=table.rows[:num_rows])
        return head, replace(table, rows=table.rows[num_rows:], hugs=False)
    if not must:
        return None
    return _cut_code(CodeBlock("\n".join(table_lines(table)), hugs=table.hugs), fits, must=True)


def _cut_text(
    block: Paragraph | Heading, spans: tuple[Span, ...], fits: Fits, room: int, *, must: bool
) -> Halves | None:
    for loose, places in _ever_worse(spans, room, must=must):
        units = _loosened(spans) if loose else spans
        found = _nicest(places, partial(_fits_before, block, units, fits))
        if found is not None:
            head, rest = _split(units, found)
            return replace(block, spans=head), replace(block, spans=rest, hugs=False)
    return None


def _fits_before(
    block: Paragraph | Heading, spans: tuple[Span, ...], fits: Fits, position: int
) -> bool:
    return fits(replace(block, spans=_split(spans, position)[0]))


def _ever_worse(
    spans: tuple[Span, ...], room: int, *, must: bool
) -> Iterator[tuple[bool, list[tuple[int, Rank]]]]:
    """Places for a cut, in units; and whether the spans must be loosened for them."""
    units = _units(spans)[: room + 2]
    yield False, _breaks(units)
    for loose in (False, True) if must else ():
        units = _units(_loosened(spans))[: room + 2] if loose else units
        whole = range(1, len(units))
        yield loose, [(n, Rank.ANYWHERE) for n in whole if is_between_graphemes(units, n)]


def _breaks(units: str) -> list[tuple[int, Rank]]:
    """The end of a line goes with the part above; so do the spaces of a word's end."""
    return [
        (match.end(), _rank(units, match))
        for match in _BREAK.finditer(units)
        if match.start() > 0 and match.end() < len(units)
    ]


def _rank(units: str, match: re.Match[str]) -> Rank:
    if "\n" in match[0]:
        return Rank.LINE
    return Rank.SENTENCE if units.endswith(_SENTENCE_ENDS, 0, match.start()) else Rank.WORD


def _nicest(places: Sequence[tuple[int, Rank]], fits: Callable[[int], bool]) -> int | None:
    """Of the places that fit: the best of the last third."""
    count = _last(range(len(places)), lambda n: fits(places[n][0]))
    if count is None:
        return None
    last = places[count][0]
    near = [place for place in places[: count + 1] if place[0] * 3 >= last * 2]
    nicest = max(near, key=lambda place: (place[1], place[0]))[0]
    return nicest if nicest == last or fits(nicest) else last


def _last(numbers: Sequence[int], fits: Callable[[int], bool]) -> int | None:
    """The last that fits, where none does behind one that does not."""
    found = bisect_right(numbers, False, key=lambda number: not fits(number))
    return numbers[found - 1] if found else None


def _loosened(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Links and formulas as text, and code in spans of one character: all of it can be cut."""
    loose: list[Span] = []
    for span in spans:
        match span:
            case Link() | Formula():
                loose.append(TextSpan(plain_text((span,))))
            case CodeSpan(content):
                loose += [CodeSpan(character) for character in content]
            case TextSpan() | LineBreak():
                loose.append(span)
            case _:
                loose.append(type(span)(_loosened(span.spans)))
    return tuple(loose)


def _units(spans: Iterable[Span]) -> str:
    """One character for each place at which spans can be split."""
    return "".join(map(_unit, spans))


def _unit(span: Span) -> str:
    match span:
        case TextSpan(content):
            return content
        case LineBreak():
            return "\n"
        case CodeSpan(content):
            return content if len(content) == 1 else _ATOM
        case Formula() | Link():
            return _ATOM
        case _:
            return _units(span.spans)


def _split(spans: Sequence[Span], position: int) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
    """Two runs of spans, the first of ``position`` units; without white space at the cut."""
    head, rest = _split_at(spans, position)
    return _stripped(head, at_end=True), _stripped(rest, at_end=False)


def _split_at(spans: Sequence[Span], position: int) -> tuple[list[Span], list[Span]]:
    head: list[Span] = []
    for number, span in enumerate(spans):
        length = len(_unit(span))
        if position < length:
            one, other = _halves(span, position)
            return [*head, *one], [*other, *spans[number + 1 :]]
        head.append(span)
        position -= length
    return head, []


def _halves(span: Span, position: int) -> tuple[list[Span], list[Span]]:
    if position == 0:
        return [], [span]
    if isinstance(span, TextSpan):
        return [TextSpan(span.content[:position])], [TextSpan(span.content[position:])]
    if isinstance(span, Marked):
        head, rest = _split_at(span.spans, position)
        return [type(span)(tuple(head))], [type(span)(tuple(rest))]
    return [span], []


def _stripped(spans: Sequence[Span], *, at_end: bool) -> tuple[Span, ...]:
    """Without white space and empty marks at one end; code in pieces is whole again."""
    found = [*_whole_code(spans)]
    edge = -1 if at_end else 0
    while found:
        span = found.pop(edge)
        kept = _strip(span, at_end=at_end)
        if kept is not None:
            found.insert(len(found) if at_end else 0, kept)
            break
    return tuple(found)


def _strip(span: Span, *, at_end: bool) -> Span | None:
    if isinstance(span, LineBreak):
        return None
    if isinstance(span, TextSpan):
        content = span.content.rstrip() if at_end else span.content.lstrip()
        return TextSpan(content) if content else None
    if isinstance(span, Marked):
        inner = _stripped(span.spans, at_end=at_end)
        return type(span)(inner) if inner else None
    return span


def _whole_code(spans: Iterable[Span]) -> Iterator[Span]:
    run = ""
    for span in spans:
        if isinstance(span, CodeSpan) and len(span.content) == 1:
            run += span.content
            continue
        if run:
            yield CodeSpan(run)
            run = ""
        yield type(span)(tuple(_whole_code(span.spans))) if isinstance(span, Marked) else span
    if run:
        yield CodeSpan(run)

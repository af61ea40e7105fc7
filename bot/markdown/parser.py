"""Markdown -> the tree. Total: any text in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from markdown_it.token import Token

from bot.markdown.inline import spans_of
from bot.markdown.syntax import MAX_NESTING, nests, parser
from bot.markdown.tree import (
    Block,
    CodeBlock,
    Formula,
    Heading,
    LineBreak,
    ListItem,
    Paragraph,
    Quote,
    Span,
    TableBlock,
    TextSpan,
    ThematicBreak,
)

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_HALF_LINK = re.compile(r"!?\[([^\[\]\n]{1,200})\]\([^()\s]*\Z")
_TASK = re.compile(r"\[([ xX])\] ")

_parser = parser()


@dataclass(frozen=True, slots=True)
class TopBlock:
    """A block of the top level, and the line of the source in which it begins.

    ``continues_list``: an item that follows another item of its list. ``inner``: the blocks of a
    quote. ``head``: for a table or code that may go on at the end of the source, the lines
    below which more lines of it can be parsed alone.
    """

    block: Block
    line: int
    continues_list: bool = False
    inner: tuple[TopBlock, ...] = ()
    head: tuple[str, ...] = ()


def printable(text: str) -> str:
    """Without control characters and lone surrogates; lines end with ``\\n``."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROLS.sub("", text).encode("utf-8", "replace").decode()


def parse(markdown: str) -> tuple[Block, ...]:
    return tuple(piece.block for piece in pieces(printable(markdown)))


def completed(markdown: str) -> str:
    """The text with all that is open at its end closed, also a fence: it was cut off there."""
    parsed = Parsed(printable(markdown))
    source, fence = parsed.healed(), parsed.open_fence
    return f"{source.rstrip()}\n{fence}" if fence else source


def pieces(source: str) -> list[TopBlock]:
    """``source``: printable Markdown."""
    return Parsed(source).blocks()


class Parsed:
    """One parse of printable Markdown.

    ``open_fence``: the mark that closes the fence that is open at the end, if one is.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._env: dict[str, str] = {}
        self._tokens = _parser.parse(source, self._env)
        contents = (token for token in reversed(self._tokens) if token.nesting == 0)
        self._last = next(contents, None)
        is_fence = self._last is not None and self._last.type == "fence"
        self.open_fence = self._last.meta.get("open", "") if self._last and is_fence else ""

    def blocks(self) -> list[TopBlock]:
        """Text that nests deeper than anybody writes is one paragraph, as it was typed.

        So is text that is nothing but tags and would show nothing.
        """
        if not any(token.level >= MAX_NESTING - 1 for token in self._tokens):
            found = _Blocks(self._tokens, self._source.split("\n")).until("")
            if found or not self._source.strip():
                return found
        return [TopBlock(_as_typed(self._source), 0)]

    def healed(self, *, shows_halves: bool = True) -> str:
        """The source, which has not come whole yet, with the marks closed that are open.

        A link without its end is only its label, and a formula its source; without
        ``shows_halves`` they are left out, as is the beginning of a mark that closes a fence.
        """
        source, last = self._source, self._last
        if last is not None and last.type == "inline":
            begin = None if shows_halves else _half_at(source)
            if begin is not None:
                return Parsed(source[:begin].rstrip(" *_~")).healed()
            text = source.rstrip()
            line_ends = "\n" * source.count("\n", len(text))
            return _HALF_LINK.sub(lambda match: match[1], text) + self._env["open"] + line_ends
        if last is None or not self.open_fence:
            return source
        head, _, line = source.rpartition("\n")
        is_half = line.strip() and last.content and last.markup.startswith(line.strip())
        return head if is_half else source


def _half_at(source: str) -> int | None:
    """Where a link or a formula begins, on the last line, that has not come to its end."""
    if link := _HALF_LINK.search(source):
        return link.start()
    line = source[source.rfind("\n") + 1 :]
    for opening, closing in (("\\(", "\\)"), ("\\[", "\\]")):
        before, found, latex = line.rpartition(opening)
        if found and closing not in latex and before.count("`") % 2 == 0:
            return len(source) - len(found + latex)
    return None


def _as_typed(source: str) -> Paragraph:
    spans: list[Span] = []
    for line in source.strip().split("\n"):
        spans += [LineBreak(), TextSpan(line)]
    return Paragraph(tuple(spans[1:]))


class _Blocks:
    """One pass over markdown-it's flat block tokens."""

    def __init__(self, tokens: Sequence[Token], lines: Sequence[str]) -> None:
        self._tokens = iter(tokens)
        self._lines = lines

    def until(self, closing: str) -> list[TopBlock]:
        """The blocks up to the token ``closing``, which is consumed; none is empty."""
        found: list[TopBlock] = []
        for token in self._tokens:
            if token.type == closing:
                break
            found += self._pieces(token)
        return found

    def _blocks(self, closing: str) -> tuple[TopBlock, ...]:
        found = self.until(closing)
        for first in found[:1]:
            found[0] = replace(first, block=replace(first.block, hugs=False))
        return tuple(found)

    def _pieces(self, token: Token) -> Iterator[TopBlock]:
        first, last = token.map or (0, 0)
        hugs = self._hugs(first)
        match token.type:
            case "paragraph_open":
                if spans := _trimmed(self._spans()):
                    yield TopBlock(Paragraph(spans, hugs), first)
            case "heading_open":
                if spans := _trimmed(self._spans()):
                    yield TopBlock(Heading(int(token.tag[1:]), spans, hugs), first)
            case "bullet_list_open" | "ordered_list_open":
                yield from self._items(token)
            case "blockquote_open":
                if inner := self._blocks("blockquote_close"):
                    quote = Quote(tuple(each.block for each in inner), hugs)
                    yield TopBlock(quote, first, inner=inner)
            case "table_open":
                yield self._table(first, last, hugs=hugs)
            case "fence":
                content = token.content.rstrip("\n")
                may_go_on = token.meta and not nests(token.info)
                head = (self._lines[first],) if may_go_on else ()
                yield TopBlock(CodeBlock(content, token.info.strip(), hugs), first, head=head)
            case "formula_block":
                yield TopBlock(Paragraph((Formula(token.content, is_block=True),), hugs), first)
            case "hr":
                yield TopBlock(ThematicBreak(hugs), first)

    def _hugs(self, line: int) -> bool:
        return line > 0 and bool(self._lines[line - 1].strip(" \t>"))

    def _spans(self) -> tuple[Span, ...]:
        return spans_of(next(self._tokens).children or ())

    def _items(self, opening: Token) -> Iterator[TopBlock]:
        closing = opening.type.replace("open", "close")
        start = int(opening.attrs.get("start", 1)) if opening.tag == "ol" else None
        for count, token in enumerate(self._tokens):
            if token.type == closing:
                return
            line = token.map[0] if token.map else 0
            blocks = _with_box(tuple(each.block for each in self._blocks("list_item_close")))
            number = None if start is None else start + count
            item = ListItem(blocks, number, hugs=self._hugs(line))
            yield TopBlock(item, line, continues_list=count > 0)

    def _table(self, first: int, last: int, *, hugs: bool) -> TopBlock:
        rows: list[tuple[tuple[Span, ...], ...]] = []
        cells: list[tuple[Span, ...]] = []
        for token in self._tokens:
            if token.type == "table_close":
                break
            if token.type == "tr_open":
                cells = []
            elif token.type == "inline":
                cells.append(spans_of(token.children or ()))
            elif token.type == "tr_close":
                rows.append(tuple(cells))
        may_go_on = last >= len(self._lines) - 1
        head = tuple(self._lines[first : first + 2]) if may_go_on else ()
        return TopBlock(TableBlock(rows[0], tuple(rows[1:]), hugs), first, head=head)


def _trimmed(spans: tuple[Span, ...]) -> tuple[Span, ...]:
    """Without line breaks at the ends; they are left by tags that mean nothing here."""
    start, end = 0, len(spans)
    while start < end and _is_blank(spans[start]):
        start += 1
    while end > start and _is_blank(spans[end - 1]):
        end -= 1
    return spans[start:end]


def _is_blank(span: Span) -> bool:
    return isinstance(span, LineBreak) or (isinstance(span, TextSpan) and not span.content.strip())


def _with_box(blocks: tuple[Block, ...]) -> tuple[Block, ...]:
    """``[ ]`` and ``[x]`` at the beginning of an item are boxes."""
    match blocks:
        case (Paragraph((TextSpan(content), *rest)) as first, *others) if box := _TASK.match(
            content
        ):
            sign = "☐ " if box[1] == " " else "☑ "
            spans = (TextSpan(sign + content[box.end() :]), *rest)
            return (replace(first, spans=spans), *others)
    return blocks

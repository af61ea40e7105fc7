"""The base of every platform's renderer: the tree -> the platform's markup. Pure and total."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import wcwidth

from bot.formulas.readable import readable
from bot.markdown.parser import parse
from bot.markdown.tree import (
    Block,
    CodeBlock,
    CodeSpan,
    Emphasis,
    Formula,
    Heading,
    LineBreak,
    Link,
    ListItem,
    Marked,
    Paragraph,
    Quote,
    Span,
    Strike,
    Strong,
    TableBlock,
    TextSpan,
    ThematicBreak,
    plain_text,
)
from bot.types import Rendered

FENCE = "```"
ZERO_WIDTH_SPACE = "\u200b"
_RULE = "─" * 20
_SOFT_HYPHEN = "\xad"
_LANGUAGE = re.compile(r"[A-Za-z][\w+#.-]{0,20}(?!\S)")


@dataclass(frozen=True, slots=True)
class RenderedLine:
    """``is_code``: a line of a code block, its fences included."""

    text: str
    is_code: bool = False


class SpanWriter(ABC):
    """Writes the spans of one block into ``parts``, in the markup of a platform.

    A mark within the same mark is counted and not written. Marks are closed at the end of a
    line and opened again on the next. ``marks``: what is written around a kind of span; kinds
    that are missing there are written without marks.
    """

    marks: ClassVar[Mapping[type[Marked], str]] = {
        Strong: "**",
        Emphasis: "*",
        Strike: "~~",
    }

    def __init__(self) -> None:
        self.parts: list[str] = []
        self._open: list[str] = []

    @abstractmethod
    def words(self, content: str) -> None:
        """Plain text."""

    @abstractmethod
    def code(self, content: str) -> None: ...

    @abstractmethod
    def link(self, url: str, label: tuple[Span, ...]) -> None:
        """``label`` is empty where the address is its own."""

    def begin(self, mark: str) -> None:
        self.parts.append(mark)

    def end(self, mark: str) -> None:
        self.parts.append(mark)

    def break_line(self) -> None:
        marks = list(dict.fromkeys(self._open))
        for mark in reversed(marks):
            self.end(mark)
        self.parts.append("\n")
        for mark in marks:
            self.begin(mark)

    def formula(self, latex: str) -> None:
        for count, line in enumerate(readable(latex).split("\n")):
            if count:
                self.break_line()
            self.words(line)

    def add(self, spans: Iterable[Span]) -> None:
        for span in spans:
            match span:
                case TextSpan(content):
                    self.words(content)
                case CodeSpan(content):
                    self.code(content)
                case Formula(latex):
                    self.formula(latex)
                case LineBreak():
                    self.break_line()
                case Link(url, label):
                    self.link(url, label)
                case _:
                    self.marked(span)

    def marked(self, span: Marked) -> None:
        mark = self.marks.get(type(span), "")
        if mark and mark not in self._open:
            self.begin(mark)
        self._open.append(mark)
        self.add(span.spans)
        self._open.pop()
        if mark and mark not in self._open:
            self.end(mark)


class Drawing(ABC):
    """Draws blocks. Every block is drawn alone, so that one that stays is drawn once.

    ``writer`` is for the text in them. The hooks below say how a platform differs.
    """

    writer: type[SpanWriter]
    code_begins_item: ClassVar[bool] = False
    """Whether a code block may stand on the line of an item's mark."""

    shows_halves: ClassVar[bool] = True
    """Whether a growing text shows a link and a formula of which the end has not come yet."""

    def size(self, text: str) -> int:
        """As the platform counts it against its limit; that of two texts is the sum of theirs."""
        return len(text)

    def block(self, block: Block) -> str:
        """One block of the top level."""
        return "\n".join(line.text for line in self.lines(block))

    def gap(self, above: Block, below: Block) -> str:
        """What stands between two blocks: the end of a line, or an empty line too."""
        return "\n" if below.hugs else "\n\n"

    def blocks(self, blocks: Sequence[Block]) -> Rendered:
        """A whole message."""
        parts: list[str] = []
        for number, block in enumerate(blocks):
            if number:
                parts.append(self.gap(blocks[number - 1], block))
            parts.append(self.block(block))
        return self.joined(parts)

    def joined(self, parts: Sequence[str]) -> Rendered:
        """A whole message of blocks that are drawn, and of what stands between them."""
        return self.message("".join(parts))

    def markdown(self, markdown: str) -> Rendered:
        return self.blocks(parse(markdown))

    def message(self, text: str) -> Rendered:
        """The text of a whole message; never calls for another size."""
        return Rendered(text.strip("\n"))

    def lines(self, block: Block, depth: int = 0) -> list[RenderedLine]:
        """``depth``: how many items the block stands in."""
        match block:
            case Paragraph(spans):
                return self.text(spans)
            case Heading(level, spans):
                return self.heading(level, spans)
            case CodeBlock(content, info):
                return self.code(content, info)
            case TableBlock():
                return self.table(block)
            case Quote(blocks):
                return [self.quoted(line) for line in self._joined(blocks, depth)]
            case ListItem():
                return self.item(block, depth + 1)
            case ThematicBreak():
                return [RenderedLine(_RULE)]

    def text(self, spans: tuple[Span, ...]) -> list[RenderedLine]:
        writer = self.writer()
        writer.add(spans)
        return [RenderedLine(line) for line in "".join(writer.parts).split("\n")]

    def heading(self, level: int, spans: tuple[Span, ...]) -> list[RenderedLine]:
        return self.text((Strong(spans),))

    def code(self, content: str, info: str) -> list[RenderedLine]:
        """Three backticks inside would end the block, so they are broken up."""
        safe = self.literal(content).replace(FENCE, f"``{ZERO_WIDTH_SPACE}`")
        language = _LANGUAGE.match(info)
        lines = (FENCE + (language[0] if language else ""), *safe.split("\n"), FENCE)
        return [RenderedLine(line, is_code=True) for line in lines]

    def literal(self, code: str) -> str:
        """The content of a code block."""
        return code

    def table(self, table: TableBlock) -> list[RenderedLine]:
        return self.code("\n".join(table_lines(table)), "")

    def item(self, item: ListItem, depth: int) -> list[RenderedLine]:
        """``depth`` counts from 1."""
        mark = self.bullet(item, depth)
        lines = self._joined(item.blocks, depth)
        if not lines or (lines[0].is_code and not self.code_begins_item):
            lines.insert(0, RenderedLine(""))
        first, *rest = lines
        return [
            RenderedLine(f"{mark} {first.text}"),
            *(self.indented(line, mark) for line in rest),
        ]

    def bullet(self, item: ListItem, depth: int) -> str:
        if item.is_continued:
            return " "
        return "-" if item.number is None else f"{item.number}."

    def indented(self, line: RenderedLine, mark: str) -> RenderedLine:
        """A further line of an item behind ``mark``."""
        return RenderedLine(" " * (len(mark) + 1) + line.text, line.is_code) if line.text else line

    def quoted(self, line: RenderedLine) -> RenderedLine:
        return RenderedLine(f"> {line.text}".rstrip(), line.is_code)

    def _joined(self, blocks: Sequence[Block], depth: int) -> list[RenderedLine]:
        lines: list[RenderedLine] = []
        for number, block in enumerate(blocks):
            if number and self.gap(blocks[number - 1], block) != "\n":
                lines.append(RenderedLine(""))
            lines += self.lines(block, depth)
        return lines


def table_lines(table: TableBlock) -> list[str]:
    """A table for a font whose letters have one width; the first line is its head."""
    rows = [[plain_text(cell).strip() for cell in row] for row in (table.head, *table.rows)]
    widths = [max(map(columns, column)) for column in zip(*rows, strict=True)]
    lines = [
        " | ".join(
            cell + " " * (width - columns(cell)) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]
    return [lines[0], "-+-".join("-" * width for width in widths), *lines[1:]]


def columns(text: str) -> int:
    """CJK and emoji take two, a whole sequence of emoji too; what is not drawn takes none."""
    return wcwidth.width(text.replace(_SOFT_HYPHEN, ""), control_codes="ignore")

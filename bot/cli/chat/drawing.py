"""Blocks of Markdown as what a terminal shows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.rule import Rule
from rich.segment import Segment
from rich.style import Style
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from bot.formulas.readable import readable
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
    Paragraph,
    Quote,
    Span,
    Strike,
    Strong,
    TableBlock,
    TextSpan,
    ThematicBreak,
    Underline,
)

_CODE = Style(color="cyan")
_LINK = Style(underline=True)
_MARKS = {Strong: "bold", Emphasis: "italic", Strike: "strike", Underline: "underline"}
_DIM = Style(dim=True)
_BULLET = "• "


def drawn(block: Block) -> RenderableType:
    """Without the empty line that stands above it."""
    match block:
        case Paragraph(spans):
            return text_of(spans)
        case Heading(level, spans):
            return text_of(spans, Style(bold=True, underline=level == 1))
        case CodeBlock(content, info):
            return code(content, info)
        case TableBlock():
            return _table(block)
        case ThematicBreak():
            return Rule(style="dim", characters="─")
        case Quote(blocks):
            return _Beside("│ ", stacked(blocks), is_bar=True)
        case ListItem():
            return _Beside(_mark(block), stacked(block.blocks))


def stacked(blocks: Sequence[Block]) -> Group:
    return Group(*_with_gaps(blocks))


def _with_gaps(blocks: Sequence[Block]) -> Iterable[RenderableType]:
    for number, block in enumerate(blocks):
        if number and not block.hugs:
            yield Text()
        yield drawn(block)


def code(content: str, info: str) -> RenderableType:
    """Lines that are too long go on below."""
    words = info.split()
    highlighter = Syntax("", words[0].lower() if words else "text", theme="ansi_dark")
    text = highlighter.highlight(content)
    text.rstrip()
    return _Beside("  ", text)


def text_of(spans: Iterable[Span], style: Style | None = None) -> Text:
    text = Text(style=style or "")
    for span in spans:
        text.append_text(_span(span))
    return text


def _span(span: Span) -> Text:
    match span:
        case TextSpan(content):
            return Text(content)
        case CodeSpan(content):
            return Text(content, _CODE)
        case Formula(latex, is_block):
            return Text(readable(latex, on_one_line=not is_block), "italic")
        case LineBreak():
            return Text("\n")
        case Link(url, spans):
            return _link(url, text_of(spans))
    inner = text_of(span.spans)
    inner.stylize(_MARKS[type(span)])
    return inner


def _link(url: str, label: Text) -> Text:
    """The address stands behind its label: what is clicked must be seen before."""
    label.stylize(_LINK)
    if not label.plain.strip() or label.plain.strip() in (url, url.removeprefix("mailto:")):
        return Text(label.plain.strip() or url, _LINK)
    return label.append(f" ({url})", "dim")


def _mark(item: ListItem) -> str:
    if item.is_continued:
        return "  "
    return _BULLET if item.number is None else f"{item.number}. "


def _table(block: TableBlock) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for cell in block.head:
        table.add_column(text_of(cell), overflow="fold")
    for row in block.rows:
        table.add_row(*map(text_of, row))
    return table


@dataclass(frozen=True, slots=True)
class _Beside:
    """``mark`` stands before the first line of ``inner``; ``is_bar``: before every line."""

    mark: str
    inner: RenderableType
    is_bar: bool = False

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = cell_len(self.mark)
        inside = options.update(width=max(1, options.max_width - width))
        mark = self.mark
        for line in console.render_lines(self.inner, inside, pad=False):
            yield Segment(mark, _DIM if self.is_bar else None)
            yield from line
            yield Segment.line()
            mark = mark if self.is_bar else " " * width

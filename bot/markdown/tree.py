"""The tree of a Markdown text: blocks, and the spans of text in them. Frozen values.

A list is a run of ``ListItem`` blocks; lists nest as items in the blocks of an item.
"""

from __future__ import annotations

from dataclasses import dataclass

from bot.formulas.readable import readable


@dataclass(frozen=True, slots=True)
class TextSpan:
    """Plain text on one line, as people read it: escapes and entities are resolved."""

    content: str


@dataclass(frozen=True, slots=True)
class CodeSpan:
    """Text that is shown byte for byte, on one line."""

    content: str


@dataclass(frozen=True, slots=True)
class Formula:
    """LaTeX without its delimiters. ``is_block``: it stands in a paragraph of its own."""

    latex: str
    is_block: bool = False


@dataclass(frozen=True, slots=True)
class LineBreak:
    """The end of a line within a block; soft or hard."""


@dataclass(frozen=True, slots=True)
class Link:
    """``url`` as it was written, of any scheme; without ``spans`` the address is its own label.

    An image is a link to it.
    """

    url: str
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Strong:
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Emphasis:
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Strike:
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Underline:
    spans: tuple[Span, ...]


Marked = Strong | Emphasis | Strike | Underline
Span = TextSpan | CodeSpan | Formula | LineBreak | Link | Marked


@dataclass(frozen=True, slots=True)
class Paragraph:
    """``hugs``, of every block: no empty line separates it from the block above."""

    spans: tuple[Span, ...]
    hugs: bool = False


@dataclass(frozen=True, slots=True)
class Heading:
    """``level`` 1 is the largest, 6 the smallest."""

    level: int
    spans: tuple[Span, ...]
    hugs: bool = False


@dataclass(frozen=True, slots=True)
class CodeBlock:
    """``content`` without empty lines at its end; ``info`` names the language, if anything."""

    content: str
    info: str = ""
    hugs: bool = False


@dataclass(frozen=True, slots=True)
class TableBlock:
    """``rows`` have as many cells as ``head``; a cell is on one line."""

    head: tuple[tuple[Span, ...], ...]
    rows: tuple[tuple[tuple[Span, ...], ...], ...]
    hugs: bool = False


@dataclass(frozen=True, slots=True)
class ThematicBreak:
    """A line across the page."""

    hugs: bool = False


@dataclass(frozen=True, slots=True)
class Quote:
    blocks: tuple[Block, ...]
    hugs: bool = False


@dataclass(frozen=True, slots=True)
class ListItem:
    """``number`` is None for a bullet. ``is_continued``: its beginning stands in an earlier part,
    so it has no mark of its own here."""

    blocks: tuple[Block, ...]
    number: int | None = None
    is_continued: bool = False
    hugs: bool = False


Block = Paragraph | Heading | CodeBlock | TableBlock | ThematicBreak | Quote | ListItem


def plain_text(spans: tuple[Span, ...]) -> str:
    """The words of spans on one line, without marks; an address stands behind its label."""
    return "".join(map(_plain, spans))


def _plain(span: Span) -> str:
    match span:
        case TextSpan(content) | CodeSpan(content):
            return content
        case Formula(latex):
            return readable(latex, on_one_line=True)
        case LineBreak():
            return " "
        case Link(url, spans):
            label = plain_text(spans).strip()
            return (
                f"{label} ({url})"
                if label not in ("", url, url.removeprefix("mailto:"))
                else (label or url)
            )
        case _:
            return plain_text(span.spans)

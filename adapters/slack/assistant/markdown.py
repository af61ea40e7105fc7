"""The tree of a Markdown text -> the Markdown that Slack streams take. Pure and total.

Nothing the model writes can ping or command: no ``<`` stands before what Slack acts on, and no
``@`` before a name that reaches everybody. A link leads to http, https or mailto.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from bot.markdown.drawing import ZERO_WIDTH_SPACE, Drawing, RenderedLine, SpanWriter
from bot.markdown.tree import (
    Block,
    CodeBlock,
    Emphasis,
    Heading,
    LineBreak,
    ListItem,
    Paragraph,
    Quote,
    Span,
    Strike,
    Strong,
    TableBlock,
    TextSpan,
    Underline,
    plain_text,
)

_LINK = re.compile(r"(?:https?://|mailto:)[^\s<>]+", re.IGNORECASE)
_SPECIAL = re.compile(r"[\\`*~\[\]|]|(?<![^\W_])_|_(?![^\W_])")
_LINE_START = re.compile(r"^(\s*)([#+-](?=\s|#|$)|=(?==*$)|-(?=-*$)|\d+[.)](?=\s|$))")
_ACTS = re.compile(r"<(?=[!@#/A-Za-z])")
_EVERYBODY = re.compile(r"@(?=here|channel|everyone|U[A-Z0-9]|W[A-Z0-9]|S[A-Z0-9])", re.IGNORECASE)
_ADDRESS = {"(": "%28", ")": "%29", "|": "%7C", "\\": "%5C"}

_GROWS_HERE = "\ue000"
"""Stands in the tree where the text goes on, so that what closes behind it can be cut off."""

_HALF_LINK = re.compile(r"!?\\\[(?:(?!\\[\[\]]|\n).)*(?:\\\](?:\(\S*)?)?\Z")
_ENDS_LINE = re.compile(r"\n\s*\Z")
_LAST_WORD = re.compile(r"\S+\s*\Z")


def escape(text: str) -> str:
    text = text.replace(_GROWS_HERE, "").replace("&", "&amp;")
    text = text.replace("<", "&lt;").replace(">", "&gt;")
    return _SPECIAL.sub(r"\\\g<0>", _without_names(text))


def _without_names(text: str) -> str:
    return _EVERYBODY.sub(f"@{ZERO_WIDTH_SPACE}", text)


def _harmless(code: str) -> str:
    """Code, in which nothing can be escaped."""
    return _without_names(_ACTS.sub(f"<{ZERO_WIDTH_SPACE}", code))


class SlackMarkdownSpans(SpanWriter):
    """Every character is written the same whatever follows it: what was sent stays as it is."""

    def words(self, content: str) -> None:
        head, mark, tail = content.partition(_GROWS_HERE)
        self.parts.append(escape(head) + mark + escape(tail))

    def code(self, content: str) -> None:
        if "`" in content or not content.strip():
            self.words(content)
        else:
            self.parts.append(f"`{_harmless(content)}`")

    def link(self, url: str, label: tuple[Span, ...]) -> None:
        words = plain_text(label).strip()
        if not _LINK.fullmatch(url):
            self.words(f"{words} ({url})" if url and words else words or url)
            return
        address = "".join(_ADDRESS.get(each, each) for each in _EVERYBODY.sub("%40", url))
        self.parts.append(f"[{escape(words or url.removeprefix('mailto:'))}]({address})")


class SlackMarkdown(Drawing):
    writer = SlackMarkdownSpans

    def text(self, spans: tuple[Span, ...]) -> list[RenderedLine]:
        return [replace(line, text=_plain_start(line.text)) for line in super().text(spans)]

    def heading(self, level: int, spans: tuple[Span, ...]) -> list[RenderedLine]:
        words = " ".join(line.text for line in super().text(spans))
        return [RenderedLine(f"{'#' * level} {words}")]

    def literal(self, code: str) -> str:
        return _harmless(code)

    def gap(self, above: Block, below: Block) -> str:
        """Only items of a list hug each other: what a block becomes is known late."""
        are_items = isinstance(above, ListItem) and isinstance(below, ListItem)
        return "\n" if below.hugs and are_items else "\n\n"

    def table(self, table: TableBlock) -> list[RenderedLine]:
        """As Markdown's own: in code the columns would move with every row."""
        rows = [" | ".join(escape(plain_text(cell)) for cell in row) for row in table.rows]
        head = " | ".join(escape(plain_text(cell)) for cell in table.head)
        rule = " | ".join("---" for _ in table.head)
        return [RenderedLine(f"| {line} |") for line in (head, rule, *rows)]


drawing = SlackMarkdown()


def _plain_start(line: str) -> str:
    """``line`` without what would begin a list, a heading or a rule there."""
    return _LINE_START.sub(
        lambda match: f"{match[1]}{match[2][:-1]}\\{match[2][-1]}", line, count=1
    )


def settled(blocks: Sequence[Block]) -> str:
    """The beginning, in Markdown, that more text is not likely to change.

    It ends before the last word, so that what follows never begins with white space: Slack drops
    that where pieces meet. A line is not begun before its first word is settled.
    """
    last = _open_ended(blocks[-1]) if blocks else None
    shown = [*blocks[:-1], last] if last is not None else blocks[:-1]
    text, mark, _ = drawing.blocks(shown).partition(_GROWS_HERE)
    if mark:
        text = _HALF_LINK.sub("", text)
    text = _LAST_WORD.sub("", text + mark)
    return _LAST_WORD.sub("", text) if _ENDS_LINE.search(text) else text


def whole(blocks: Sequence[Block]) -> str:
    """All of it, in Markdown."""
    return drawing.blocks(blocks)


def words(blocks: Sequence[Block]) -> str:
    """Its first line without any markup."""
    first = blocks[0] if blocks else None
    return plain_text(first.spans) if isinstance(first, Paragraph | Heading) else ""


def _open_ended(block: Block) -> Block | None:
    """The block as far as it is settled, with the mark where it goes on; None if nothing is."""
    match block:
        case Paragraph(spans) | Heading(_, spans):
            opened = _open_spans(_without_row(spans))
            return replace(block, spans=opened) if spans else None
        case CodeBlock(content) if content:
            return replace(block, content=content + _GROWS_HERE)
        case TableBlock(rows=rows) if rows:
            return replace(block, rows=rows[:-1])
        case Quote(blocks) | ListItem(blocks) if blocks:
            last = _open_ended(blocks[-1])
            inner = (*blocks[:-1], last) if last is not None else blocks[:-1]
            return replace(block, blocks=inner) if inner else None
    return None


def _open_spans(spans: tuple[Span, ...]) -> tuple[Span, ...]:
    """Code, an address and the like may still change as a whole."""
    if not spans:
        return (TextSpan(_GROWS_HERE),)
    *before, last = spans
    match last:
        case TextSpan(content):
            return (*before, TextSpan(content + _GROWS_HERE))
        case Strong(inner) | Emphasis(inner) | Strike(inner) | Underline(inner):
            return (*before, replace(last, spans=_open_spans(inner)))
        case _:
            return (*before, TextSpan(_GROWS_HERE))


def _without_row(spans: tuple[Span, ...]) -> tuple[Span, ...]:
    """Of the last two lines, one that may become the head of a table is not settled."""
    ends = [0, *(number for number, span in enumerate(spans) if isinstance(span, LineBreak))]
    for begin in ends[-2:]:
        if "|" in plain_text(spans[begin:]):
            return spans[:begin]
    return spans

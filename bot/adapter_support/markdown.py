"""Markdown -> the markup of a platform, by one parser for all of them. Pure and total."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, Self

from markdown_it import MarkdownIt
from markdown_it.token import Token

from bot.types import Rendered

FENCE = "```"
ZERO_WIDTH_SPACE = "\u200b"
_RULE = "─" * 20
_MAX_NESTING = 50
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def printable(text: str) -> str:
    """Without control characters and lone surrogates; lines end with ``\\n``."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROLS.sub("", text).encode("utf-8", "replace").decode()


def parser(*without: str) -> Callable[[str], list[Token]]:
    """The parser of printable Markdown, with tables; ``without``: rules to leave out.

    Each block's first token has a ``map``: its lines in the source, from and up to.
    """
    # Four spaces are how models indent lists ("code"), and a "reference" shows nothing.
    never = ("code", "reference", "html_block", "html_inline", *without)
    markdown = MarkdownIt("commonmark", {"html": False, "maxNesting": _MAX_NESTING})
    return markdown.enable(["table", "strikethrough"]).disable(list(never)).parse


def code_table(tokens: Iterator[Token]) -> list[str]:
    """A table as lines that align in a code block; takes its tokens up to ``table_close``."""
    rows: list[list[str]] = []
    for token in tokens:
        if token.type == "table_close":
            break
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline":
            rows[-1].append(_cell(token.children or ()))
    return aligned(rows)


def _cell(tokens: Sequence[Token]) -> str:
    """Plain text; code shows no links, so an address stands behind its label."""
    words: list[str] = []
    url, label_at = "", 0
    for token in tokens:
        if token.type == "link_open":
            url, label_at = str(token.attrs.get("href", "")), len(words)
        elif token.type == "link_close":
            label = "".join(words[label_at:])
            words.append("" if url in (label, f"mailto:{label}") else f" ({url})")
        else:
            words.append(plain_text([token]))
    return "".join(words)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines for a font whose letters have one width; the first row is the table's head."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=False)]
    lines = [
        " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip()
        for row in rows
    ]
    return [lines[0], "-+-".join("-" * width for width in widths), *lines[1:]]


def plain_text(tokens: Sequence[Token]) -> str:
    """The words of inline tokens, unformatted and not escaped, on one line."""
    words = (" " if token.type.endswith("break") else token.content for token in tokens)
    return "".join(words).replace("\n", " ")


class Spans(ABC):
    """Bold, links and code: markdown-it's inline tokens -> a platform's text.

    A mark within the same mark is counted and not written, and each line has marks of its own.
    ``marks``: the marks around ``strong``, ``em`` and ``s``.
    """

    marks: ClassVar[Mapping[str, str]]
    hard_break: ClassVar[str] = "\n"

    def __init__(self) -> None:
        self.parts: list[str] = []
        self._open: list[str] = []

    @classmethod
    def rendered(cls, tokens: Sequence[Token], *, is_bold: bool = False) -> str:
        spans = cls()
        return "".join((spans.bold(tokens) if is_bold else spans.add(tokens)).parts)

    @abstractmethod
    def words(self, content: str) -> None:
        """Plain text, with the links that stand bare in it."""

    @abstractmethod
    def code(self, content: str) -> None: ...

    @abstractmethod
    def link(self, url: str, label: str) -> None: ...

    def begin(self, mark: str) -> None:
        self.parts.append(mark)

    def end(self, mark: str) -> None:
        self.parts.append(mark)

    def break_line(self, newline: str) -> None:
        marks = list(dict.fromkeys(self._open))
        self.parts.extend((*reversed(marks), newline, *marks))

    def bold(self, tokens: Sequence[Token]) -> Self:
        self._mark(self.marks["strong"])
        self.add(tokens)
        self._unmark(self.marks["strong"])
        return self

    def add(self, tokens: Sequence[Token]) -> Self:
        rest = iter(tokens)
        for token in rest:
            kind, _, edge = token.type.rpartition("_")
            match token.type:
                case "softbreak":
                    self.break_line("\n")
                case "hardbreak":
                    self.break_line(self.hard_break)
                case "code_inline":
                    self.code(token.content)
                case "link_open":
                    self.link(str(token.attrs.get("href", "")), _label(rest))
                case "image":
                    self.link(str(token.attrs.get("src", "")), token.content)
                case _ if kind in self.marks and edge == "open":
                    self._mark(self.marks[kind])
                case _ if kind in self.marks and edge == "close":
                    self._unmark(self.marks[kind])
                case _:
                    self.words(token.content)
        return self

    def _mark(self, mark: str) -> None:
        if mark not in self._open:
            self.begin(mark)
        self._open.append(mark)

    def _unmark(self, mark: str) -> None:
        self._open.pop()
        if mark not in self._open:
            self.end(mark)


def _label(rest: Iterator[Token]) -> str:
    """The text of a link, whose tokens are taken from ``rest``; links do not nest."""
    tokens: list[Token] = []
    for token in rest:
        if token.type == "link_close":
            break
        tokens.append(token)
    return plain_text(tokens).strip()


def around_links(
    pattern: re.Pattern[str], text: str, words: Callable[[str], None], link: Callable[[str], None]
) -> None:
    """Call ``words`` and ``link`` in turn, for the text between links and for the links in it."""
    end = 0
    for match in pattern.finditer(text):
        words(text[end : match.start()])
        link(match.group())
        end = match.end()
    words(text[end:])


@dataclass(frozen=True, slots=True)
class RenderedLine:
    text: str
    is_code: bool = False


@dataclass(frozen=True, slots=True)
class Markup:
    """A platform's markup, each part of it a pure function.

    ``escape`` is for text and ``literal`` for code between fences; ``bullet`` gives an item's
    mark at a depth from 1, and ``indented`` a further line of an item behind its mark.
    ``without``: rules of Markdown to leave out.
    """

    spans: type[Spans]
    escape: Callable[[str], str]
    literal: Callable[[str], str]
    bullet: Callable[[int], str]
    indented: Callable[[RenderedLine, str], RenderedLine]
    quoted: Callable[[RenderedLine], RenderedLine]
    without: tuple[str, ...] = ()


class Render(Protocol):
    def __call__(self, markdown: str) -> Rendered: ...


def renderer(markup: Markup) -> Render:
    """For a platform whose markup is not Markdown.

    Text that nests deeper than anybody writes is shown as it was typed.
    """
    parse = parser(*markup.without)

    def render(markdown: str) -> Rendered:
        source = printable(markdown)
        tokens = parse(source)
        if any(token.level >= _MAX_NESTING - 1 for token in tokens):
            return Rendered(markup.escape(source.strip()))
        lines = _joined(_Blocks(tokens, markup).until(""))
        return Rendered("\n".join(line.text for line in lines).strip("\n"))

    return render


@dataclass(frozen=True, slots=True)
class _Block:
    """``hugs``: no empty line separates it from the block before."""

    lines: list[RenderedLine]
    hugs: bool = False


def _joined(blocks: Iterable[_Block]) -> list[RenderedLine]:
    lines: list[RenderedLine] = []
    for block in blocks:
        if lines and not block.hugs:
            lines.append(RenderedLine(""))
        lines.extend(block.lines)
    return lines


class _Blocks:
    """One pass over markdown-it's flat block tokens."""

    def __init__(self, tokens: Sequence[Token], markup: Markup) -> None:
        self._tokens = iter(tokens)
        self._markup = markup
        self._list_depth = 0
        self._paragraph_end = -1

    def until(self, closing: str) -> list[_Block]:
        """The blocks up to the token ``closing``, which is consumed."""
        blocks: list[_Block] = []
        for token in self._tokens:
            match token.type:
                case kind if kind == closing:
                    break
                case "paragraph_open":
                    self._paragraph_end = token.map[1] if token.map else -1
                    blocks.append(_Block(self._text_lines(), hugs=token.hidden))
                case "heading_open":
                    blocks.append(_Block(self._text_lines(is_bold=True)))
                case "bullet_list_open" | "ordered_list_open":
                    blocks.append(self._list(token))
                case "blockquote_open":
                    lines = _joined(self.until("blockquote_close"))
                    blocks.append(_Block([self._markup.quoted(line) for line in lines]))
                case "table_open":
                    blocks.append(self._code("\n".join(code_table(self._tokens))))
                case "fence" | "code_block":
                    blocks.append(self._code(token.content.removesuffix("\n")))
                case "hr":
                    blocks.append(_Block([RenderedLine(_RULE)]))
        return blocks

    def _text_lines(self, *, is_bold: bool = False) -> list[RenderedLine]:
        tokens = next(self._tokens).children or ()
        text = self._markup.spans.rendered(tokens, is_bold=is_bold)
        return [RenderedLine(line) for line in text.split("\n")]

    def _code(self, content: str) -> _Block:
        """Three backticks inside would end the block, so they are broken up."""
        safe = self._markup.literal(content).replace(FENCE, f"``{ZERO_WIDTH_SPACE}`")
        lines = (FENCE, *safe.split("\n"), FENCE)
        return _Block([RenderedLine(line, is_code=True) for line in lines])

    def _list(self, opening: Token) -> _Block:
        hugs = opening.map is not None and opening.map[0] == self._paragraph_end
        closing = opening.type.replace("open", "close")
        number = int(opening.attrs.get("start", 1)) if opening.tag == "ol" else None
        self._list_depth += 1
        bullet = self._markup.bullet(self._list_depth)
        items: list[_Block] = []
        for token in self._tokens:
            if token.type == closing:
                break
            items.append(self._item(bullet if number is None else f"{number + len(items)}."))
        self._list_depth -= 1
        return _Block(_joined(items), hugs)

    def _item(self, mark: str) -> _Block:
        blocks = self.until("list_item_close")
        is_tight = all(block.hugs for block in blocks[:1])
        lines = _joined(blocks)
        if not lines or lines[0].is_code:
            lines.insert(0, RenderedLine(""))
        first, *rest = lines
        further = [self._markup.indented(line, mark) for line in rest]
        return _Block([RenderedLine(f"{mark} {first.text}"), *further], is_tight)

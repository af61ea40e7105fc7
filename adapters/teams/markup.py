"""The tree of a Markdown text -> the Markdown that Teams renders. Pure and total.

Teams knows no headings, rules, tables and images: headings become bold, tables code blocks,
images links. ``<`` never stands before a tag's name outside of code, and nowhere before ``at``.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import takewhile

from adapters.teams.emphasis import (
    EMPHASIS,
    ClosingMark,
    EscapedText,
    OpeningMark,
    ShownCode,
    emphasised,
)
from bot.markdown.drawing import ZERO_WIDTH_SPACE, Drawing, RenderedLine, SpanWriter
from bot.markdown.tree import Block, Emphasis, ListItem, Span, Strike, Strong

_LINK = re.compile(r"(?:https?://|mailto:)[^\s<>\"]+", re.IGNORECASE)
_PLAIN_LINK = re.compile(r"(?:[a-zA-Z0-9./:?=%&#+,;@!$-]|(?<=[a-zA-Z0-9])_(?=[a-zA-Z0-9]))+")
_ENDS_LINK = re.compile(r"[.,;:!?)]*(?:\s|\Z)")
_ENTITY = re.compile(r"&(?=#?\w+;)")
_SPECIAL = re.compile(r"[\\`*_~\[\]]")
_LINE_START = re.compile(r"^([#+-]|=(?==*$)|[|:](?=[\s|:]*-)|\d+[.)](?=\s|$))")
_AT = re.compile(r"<(?=\s*/?\s*at\b)", re.IGNORECASE)
_MAX_DEPTH = 30


def escape(text: str) -> str:
    """Escape every character that begins markup within a line, a tag or an entity in Teams."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SPECIAL.sub(r"\\\g<0>", text)


def _at_line_start(line: str) -> str:
    """``line`` without what would begin a list, a rule or a table there."""
    return _LINE_START.sub(lambda match: f"{match[1][:-1]}\\{match[1][-1]}", line, count=1)


def harmless(code: str) -> str:
    """Code, unchanged except for mentions."""
    return _AT.sub(f"<{ZERO_WIDTH_SPACE}", code)


class _BareLink(str):
    """An address that Teams finds by itself, unless something touches it."""

    __slots__ = ()


class TeamsSpans(SpanWriter):
    marks = {Strong: "**", Emphasis: EMPHASIS, Strike: "~~"}  # noqa: RUF012

    @property
    def text(self) -> str:
        return emphasised([*map(self._shown, range(len(self.parts)))])

    def begin(self, mark: str) -> None:
        self.parts.append(OpeningMark(mark))

    def end(self, mark: str) -> None:
        self.parts.append(ClosingMark(mark))

    def words(self, content: str) -> None:
        self.parts.append(EscapedText(escape(content)))

    def code(self, content: str) -> None:
        """Code with a mention is text: it shows every character, and nothing invisible."""
        if _AT.search(content) or not content:
            self.words(content)
        else:
            self.parts.append(ShownCode(content))

    def link(self, url: str, label: tuple[Span, ...]) -> None:
        if not _LINK.fullmatch(url):
            self.add(label)
            self.words(f" ({url})" if url and label else url)
            return
        if not label and url.lower().startswith("http") and _PLAIN_LINK.fullmatch(url):
            self.parts.append(_BareLink(url))
        else:
            self.parts.append(_linked(self._label(label) or escape(_label_of(url)), url))

    def _label(self, spans: tuple[Span, ...]) -> str:
        inner = TeamsSpans()
        inner._open = [*self._open]
        inner.add(spans)
        return inner.text.replace("\n", " ").strip()

    def _shown(self, place: int) -> str:
        part = self.parts[place]
        if not isinstance(part, _BareLink):
            return part
        before = "".join(self.parts[max(0, place - 1) : place])[-1:]
        behind = "".join(self.parts[place + 1 : place + 4])
        is_alone = before in ("", *" \n(") and _ENDS_LINK.match(behind) is not None
        is_entity = _ENTITY.search(f"{part}{behind[:1]}") is not None
        return part if is_alone and not is_entity else _linked(escape(part), part)


def _label_of(url: str) -> str:
    return url.removeprefix("mailto:")


def _linked(label: str, url: str) -> str:
    target = url.replace("\\", "\\\\")
    target = _ENTITY.sub(r"\&", target)
    if not _is_balanced(target):
        target = target.replace("(", "\\(").replace(")", "\\)")
    return f"[{label}]({target})"


def _is_balanced(url: str) -> bool:
    depth = 0
    for character in url:
        depth += (character == "(") - (character == ")")
        if not 0 <= depth <= _MAX_DEPTH:
            return False
    return depth == 0


class TeamsDrawing(Drawing):
    writer = TeamsSpans
    code_begins_item = True
    shows_halves = False  # what streams to Teams may not be changed into a link later

    def size(self, text: str) -> int:
        """Teams counts in UTF-16."""
        return len(text.encode("utf-16-le")) // 2

    def text(self, spans: tuple[Span, ...]) -> list[RenderedLine]:
        """Two spaces at the end of a line are what ends it in Teams, too."""
        writer = TeamsSpans()
        writer.add(spans)
        lines = [_at_line_start(line.strip()) for line in writer.text.split("\n")]
        return [RenderedLine(f"{line}  ") for line in lines[:-1]] + [RenderedLine(lines[-1])]

    def gap(self, above: Block, below: Block) -> str:
        """Lines that hug are one paragraph to Teams; and a list may begin right under text only
        if its first item counts from 1 and has text of its own."""
        if not isinstance(below, ListItem) or not below.hugs:
            return "\n\n"
        is_next = isinstance(above, ListItem) and not above.is_continued
        begins = below.number in (None, 1) and bool(below.blocks)
        return "\n" if is_next or begins else "\n\n"

    def code(self, content: str, info: str) -> list[RenderedLine]:
        return super().code(content, "")

    def literal(self, code: str) -> str:
        return harmless(code)

    def quoted(self, line: RenderedLine) -> RenderedLine:
        text = f"> {line.text}"
        return RenderedLine(text if line.is_code else text.rstrip(), line.is_code)

    def bullet(self, item: ListItem, depth: int) -> str:
        """Three items in one line, the last of them empty, must not be a rule."""
        is_empty = not item.blocks and item.number is None
        return "*" if is_empty else super().bullet(item, depth)

    def item(self, item: ListItem, depth: int) -> list[RenderedLine]:
        return self._continued(item, depth) if item.is_continued else super().item(item, depth)

    def _continued(self, item: ListItem, depth: int) -> list[RenderedLine]:
        """What is left of the item's text is at the margin, where nothing makes code of it;
        items in it keep their level, behind a mark of this one."""
        texts = [*takewhile(lambda block: not isinstance(block, ListItem), item.blocks)]
        if not texts and any(map(_is_continued, item.blocks[:1])):
            texts = [item.blocks[0]]
        lines = self._joined(texts, depth)
        if inner := item.blocks[len(texts) :]:
            lines += [RenderedLine("")] if lines else []
            lines += super().item(replace(item, blocks=inner, is_continued=False), depth)
        return lines


def _is_continued(block: Block) -> bool:
    return isinstance(block, ListItem) and block.is_continued


drawing = TeamsDrawing()
render = drawing.markdown

"""The tree of a Markdown text -> mrkdwn, the markup of Slack messages. Pure and total.

Nothing the model writes can ping or command: ``&``, ``<`` and ``>`` are escaped everywhere,
and the only ``<…>`` ever written is a link to http, https or mailto.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from adapters.slack.mrkdwn.line import (
    Code,
    Mark,
    Solid,
    TickedCode,
    Unit,
    escape,
    line_of,
    without_quote,
)
from bot.markdown.drawing import FENCE, Drawing, RenderedLine, SpanWriter
from bot.markdown.tree import Block, Emphasis, ListItem, Span, Strike, Strong, plain_text
from bot.types import Rendered

_BULLETS = ("•", "◦", "▪")
_INDENT = "    "
_LINK = re.compile(r"(?:https?://|mailto:)[^\s<>]+", re.IGNORECASE)
_MAIL = re.compile(r"[A-Za-z0-9_.+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_MAIL_WITH_MARKS = re.compile(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")


class SlackSpans(SpanWriter):
    """Slack formats within one line only."""

    marks = {Strong: "*", Emphasis: "_", Strike: "~"}  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[list[Unit]] = [[]]

    @property
    def lines(self) -> list[str]:
        return [line_of(units) for units in self._lines]

    def words(self, content: str) -> None:
        """A mail address in which something would act is written as the address it is."""
        start = 0
        for mail in _MAIL.finditer(content):
            if _MAIL_WITH_MARKS.search(mail[0]):
                self._add(*content[start : mail.start()], Solid(f"<mailto:{mail[0]}>"))
                start = mail.end()
        self._add(*content[start:])

    def code(self, content: str) -> None:
        """What looks like a fence cannot be shown as code."""
        if FENCE in content or not content.strip():
            self._add(*content)
        elif "`" not in content:
            self._add(Code(content))
        else:
            self._pause_marks(TickedCode(content))

    def link(self, url: str, label: tuple[Span, ...]) -> None:
        words = plain_text(label).strip()
        if not _LINK.fullmatch(url):
            self.words(f"{words} ({url})" if url and words else words or url)
            return
        address = escape(url).replace("|", "%7C")
        if words:
            self._add(Solid(f"<{address}|"), *words, Solid(">"))
        else:
            self._add(Solid(f"<{address}>"))

    def begin(self, mark: str) -> None:
        self._add(Mark(mark, opens=True))

    def end(self, mark: str) -> None:
        self._add(Mark(mark, opens=False))

    def break_line(self) -> None:
        self._pause_marks(None)

    def _pause_marks(self, code: TickedCode | None) -> None:
        """Marks go around neither code with backticks nor the end of a line."""
        marks = list(dict.fromkeys(filter(None, self._open)))
        for mark in reversed(marks):
            self.end(mark)
        if code is None:
            self._lines.append([])
        else:
            self._add(code)
        for mark in marks:
            self.begin(mark)

    def _add(self, *units: Unit) -> None:
        self._lines[-1] += units


class SlackText(str):
    """mrkdwn that knows the ``blocks`` it was drawn from: a native stream takes other markup."""

    blocks: tuple[Block, ...]

    def __new__(cls, text: str, blocks: tuple[Block, ...]) -> SlackText:
        drawn = super().__new__(cls, text)
        drawn.blocks = blocks
        return drawn


class SlackDrawing(Drawing):
    writer = SlackSpans
    shows_halves = False  # what is in a stream may not become a link later

    def block(self, block: Block) -> str:
        lines = [
            line.text if line.is_code else without_quote(line.text) for line in self.lines(block)
        ]
        return SlackText("\n".join(lines), (block,))

    def joined(self, parts: Sequence[str]) -> Rendered:
        drawn = [part for part in parts if isinstance(part, SlackText)]
        blocks = tuple(block for part in drawn for block in part.blocks)
        return Rendered(SlackText(super().joined(parts), blocks))

    def text(self, spans: tuple[Span, ...]) -> list[RenderedLine]:
        writer = SlackSpans()
        writer.add(spans)
        return [RenderedLine(line) for line in writer.lines]

    def code(self, content: str, info: str) -> list[RenderedLine]:
        return super().code(content, "")

    def literal(self, code: str) -> str:
        return escape(code)

    def bullet(self, item: ListItem, depth: int) -> str:
        if item.number is not None or item.is_continued:
            return super().bullet(item, depth)
        return _BULLETS[min(depth, len(_BULLETS)) - 1]

    def item(self, item: ListItem, depth: int) -> list[RenderedLine]:
        """A quote begins its line: the mark of an item that is one stands within it."""
        [first, *rest] = super().item(item, depth)
        mark, quote = self.bullet(item, depth), first.text.find(">")
        if quote == len(mark) + 1:
            first = RenderedLine(f"> {mark} {first.text[quote + 1 :].lstrip()}")
        return [first, *rest]

    def indented(self, line: RenderedLine, mark: str) -> RenderedLine:
        if line.is_code or not line.text:
            return line
        if _is_quote(line):
            return RenderedLine(f"> {_INDENT}{line.text[1:].lstrip()}".rstrip())
        return RenderedLine(_INDENT + line.text)

    def quoted(self, line: RenderedLine) -> RenderedLine:
        """Slack knows quotes of one level, and no code in them."""
        if line.is_code or _is_quote(line):
            return line
        return RenderedLine(f"> {line.text}".rstrip())


def _is_quote(line: RenderedLine) -> bool:
    """What is written in words is escaped."""
    return line.text.startswith(">")


drawing = SlackDrawing()
render = drawing.markdown

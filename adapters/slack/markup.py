"""The tree of a Markdown text -> mrkdwn, the markup of Slack messages. Pure and total.

Nothing the model writes can ping or command: ``&``, ``<`` and ``>`` are escaped everywhere,
and the only ``<…>`` ever written is a link to http, https or mailto.
"""

from __future__ import annotations

import re

from bot.markdown.drawing import ZERO_WIDTH_SPACE, Drawing, RenderedLine, SpanWriter
from bot.markdown.tree import Emphasis, ListItem, Span, Strike, Strong, plain_text

_BULLETS = ("•", "◦", "▪")
_INDENT = "    "
_LINK = re.compile(r"(?:https?://|mailto:)[^\s<>|]+", re.IGNORECASE)


def escape(text: str) -> str:
    """The three characters that are control characters to Slack."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


class SlackSpans(SpanWriter):
    """Slack formats at word borders and within one line only: invisible spaces make borders."""

    marks = {Strong: "*", Emphasis: "_", Strike: "~"}  # noqa: RUF012
    _ends_span = False

    def words(self, content: str) -> None:
        if not content:
            return
        if self._ends_span and content[0].isalnum():
            self.parts.append(ZERO_WIDTH_SPACE)
        self._ends_span = False
        self.parts.append(escape(content))

    def code(self, content: str) -> None:
        if "`" in content:  # cannot be shown as code
            self.words(content)
            return
        self.begin("`")
        self.parts.append(escape(content))
        self.end("`")

    def link(self, url: str, label: tuple[Span, ...]) -> None:
        url, words = url.replace("|", "%7C"), plain_text(label).strip()
        if not _LINK.fullmatch(url):
            self.words(f"{words} ({url})" if url and words else words or url)
            return
        self._ends_span = False
        self.parts.append(f"<{escape(url)}|{escape(words)}>" if words else f"<{escape(url)}>")

    def begin(self, mark: str) -> None:
        if self.parts and self.parts[-1][-1].isalnum():
            self.parts.append(ZERO_WIDTH_SPACE)
        self._ends_span = False
        self.parts.append(mark)

    def end(self, mark: str) -> None:
        self.parts.append(mark)
        self._ends_span = True

    def break_line(self) -> None:
        super().break_line()
        self._ends_span = False


class SlackDrawing(Drawing):
    writer = SlackSpans

    def code(self, content: str, info: str) -> list[RenderedLine]:
        return super().code(content, "")

    def literal(self, code: str) -> str:
        return escape(code)

    def bullet(self, item: ListItem, depth: int) -> str:
        if item.number is not None or item.is_continued:
            return super().bullet(item, depth)
        return _BULLETS[min(depth, len(_BULLETS)) - 1]

    def indented(self, line: RenderedLine, mark: str) -> RenderedLine:
        return line if line.is_code or not line.text else RenderedLine(_INDENT + line.text)

    def quoted(self, line: RenderedLine) -> RenderedLine:
        return line if line.is_code else RenderedLine(f"> {line.text}")


drawing = SlackDrawing()
render = drawing.markdown

"""Markdown -> mrkdwn, the markup of Slack messages. Pure and total: any text in.

Nothing the model writes can ping or command: ``&``, ``<`` and ``>`` are escaped everywhere,
and the only ``<…>`` ever written is a link to http, https or mailto.
"""

from __future__ import annotations

import re

from bot.adapter_support.markdown import (
    ZERO_WIDTH_SPACE,
    Markup,
    RenderedLine,
    Spans,
    around_links,
    renderer,
)

_BULLETS = ("•", "◦", "▪")
_INDENT = "    "
_LINK = re.compile(r"(?:https?://|mailto:)[^\s<>|]+", re.IGNORECASE)
_BARE_LINK = re.compile(r"https?://[^\s<>|\"`]*[^\s<>|\"`.,;:!?'()\[\]{}*_~]")


def escape(text: str) -> str:
    """The three characters that are control characters to Slack."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


class SlackSpans(Spans):
    """Slack formats at word borders and within one line only: invisible spaces make borders."""

    marks = {"strong": "*", "em": "_", "s": "~"}  # noqa: RUF012
    _ends_span = False

    def words(self, content: str) -> None:
        around_links(_BARE_LINK, content, self._write, self._write_link)

    def code(self, content: str) -> None:
        if "`" in content:  # cannot be shown as code
            self._write(content)
            return
        self.begin("`")
        self.parts.append(escape(content))
        self.end("`")

    def link(self, url: str, label: str) -> None:
        url = url.replace("|", "%7C")
        if not _LINK.fullmatch(url):
            self._write(f"{label} ({url})" if url and label else label or url)
        else:
            self._write_link(url, label)

    def begin(self, mark: str) -> None:
        if self.parts and self.parts[-1][-1].isalnum():
            self.parts.append(ZERO_WIDTH_SPACE)
        self._ends_span = False
        self.parts.append(mark)

    def end(self, mark: str) -> None:
        self.parts.append(mark)
        self._ends_span = True

    def break_line(self, newline: str) -> None:
        super().break_line(newline)
        self._ends_span = False

    def _write(self, text: str) -> None:
        if not text:
            return
        if self._ends_span and text[0].isalnum():
            self.parts.append(ZERO_WIDTH_SPACE)
        self._ends_span = False
        self.parts.append(escape(text))

    def _write_link(self, url: str, label: str = "") -> None:
        self._ends_span = False
        labelled = f"|{escape(label)}" if label not in ("", url) else ""
        self.parts.append(f"<{escape(url)}{labelled}>")


def _bullet(depth: int) -> str:
    return _BULLETS[min(depth, len(_BULLETS)) - 1]


def _indented(line: RenderedLine, _: str) -> RenderedLine:
    return line if line.is_code or not line.text else RenderedLine(_INDENT + line.text)


def _quoted(line: RenderedLine) -> RenderedLine:
    return line if line.is_code else RenderedLine(f"> {line.text}")


render = renderer(Markup(SlackSpans, escape, escape, _bullet, _indented, _quoted))

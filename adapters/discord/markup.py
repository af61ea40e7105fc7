"""The tree of a Markdown text -> the Markdown that Discord renders. Pure and total.

Discord knows three sizes of headings, no tables and no images inline. Nothing the model writes
can ping or look like a ping: a joiner that nobody sees is put into all that Discord would
resolve. (``allowed_mentions`` forbids pings too.)
"""

from __future__ import annotations

import re

from bot.markdown.drawing import Drawing, RenderedLine, SpanWriter
from bot.markdown.tree import Emphasis, Span, Strike, Strong, Underline, plain_text

_JOINER = "\u2060"
_PING = re.compile(r"@(?=everyone|here)|<(?=@[!&]?\d|#\d|/[^<>\n]*:\d)", re.IGNORECASE)
_SPECIAL = re.compile(r"[\\`*_~|\[\]]")
_LINE_START = re.compile(r"^(\s*)(#{1,3}|-#|>{1,3}|[-*+]|\d+[.)])(?=\s|$)", re.MULTILINE)
_LINK = re.compile(r"(?:https?://|mailto:)[^\s<>\"]+", re.IGNORECASE)


def escape(text: str) -> str:
    """Escape every character that begins markup in Discord."""
    text = _SPECIAL.sub(r"\\\g<0>", text)
    text = _LINE_START.sub(lambda match: f"{match[1]}\\{match[2]}", text)
    return harmless(text)


def harmless(text: str) -> str:
    return _PING.sub(lambda match: match[0] + _JOINER, text)


class DiscordSpans(SpanWriter):
    marks = {Strong: "**", Emphasis: "_", Strike: "~~", Underline: "__"}  # noqa: RUF012

    def words(self, content: str) -> None:
        at_start = not self.parts or self.parts[-1].endswith("\n")
        self.parts.append(escape(content) if at_start else escape(f"x{content}")[1:])

    def code(self, content: str) -> None:
        mark = "``" if "`" in content else "`"
        space = " " if "`" in content else ""
        self.parts.append(f"{mark}{space}{harmless(content)}{space}{mark}")

    def link(self, url: str, label: tuple[Span, ...]) -> None:
        words = plain_text(label).strip()
        if not _LINK.fullmatch(url):
            self.words(f"{words} ({url})" if url and words else words or url)
        elif not words:
            self.parts.append(harmless(url))
        else:
            self.parts.append(f"[{escape(words)}]({harmless(url)})")


class DiscordDrawing(Drawing):
    writer = DiscordSpans
    code_begins_item = True

    def literal(self, code: str) -> str:
        return harmless(code)

    def heading(self, level: int, spans: tuple[Span, ...]) -> list[RenderedLine]:
        if level > 3:
            return super().heading(level, spans)
        [first, *rest] = self.text(spans)
        return [RenderedLine(f"{'#' * level} {first.text}"), *rest]


drawing = DiscordDrawing()
render = drawing.markdown

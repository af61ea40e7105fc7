"""The markup of the fake platform: Markdown with ``&``, ``<`` and ``>`` escaped."""

from __future__ import annotations

import html

from bot.markdown.drawing import Drawing, RenderedLine, SpanWriter
from bot.markdown.tree import Emphasis, Span, Strike, Strong, plain_text
from bot.types import Rendered


class FakeSpans(SpanWriter):
    marks = {Strong: "**", Emphasis: "_", Strike: "~~"}  # noqa: RUF012

    def words(self, content: str) -> None:
        self.parts.append(html.escape(content, quote=False))

    def code(self, content: str) -> None:
        mark = "``" if "`" in content else "`"
        self.parts.append(f"{mark}{html.escape(content, quote=False)}{mark}")

    def link(self, url: str, label: tuple[Span, ...]) -> None:
        words = plain_text(label)
        self.words(f"[{words}]({url})" if words else url)


class FakeDrawing(Drawing):
    """``made``: every message that was drawn."""

    writer = FakeSpans

    def __init__(self) -> None:
        self.made: set[str] = set()

    def heading(self, level: int, spans: tuple[Span, ...]) -> list[RenderedLine]:
        [first, *rest] = self.text(spans)
        return [RenderedLine(f"{'#' * level} {first.text}"), *rest]

    def literal(self, code: str) -> str:
        return html.escape(code, quote=False)

    def message(self, text: str) -> Rendered:
        self.made.add(message := super().message(text))
        return message

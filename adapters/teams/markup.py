"""The tree of a Markdown text -> the Markdown that Teams renders. Pure and total.

Teams knows no headings, rules, tables and images: headings become bold, tables code blocks,
images links. ``<`` never stands before a tag's name outside of code, and nowhere before ``at``.
"""

from __future__ import annotations

import re

from bot.markdown.drawing import ZERO_WIDTH_SPACE, Drawing, RenderedLine, SpanWriter
from bot.markdown.tree import Block, Emphasis, ListItem, Span, Strike, Strong, plain_text

_LINK = re.compile(r"(?:https?://|mailto:)[^\s<>\"]+", re.IGNORECASE)
_SPECIAL = re.compile(r"[\\`*_~\[\]]")
_LINE_START = re.compile(r"^(\s*)([#+-]|\d+[.)](?=\s|$))", re.MULTILINE)
_AT = re.compile(r"<(?=\s*/?\s*at\b)", re.IGNORECASE)


def escape(text: str) -> str:
    """Escape every character that begins markup, a tag or an entity in Teams."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _LINE_START.sub(_escaped_start, _SPECIAL.sub(r"\\\g<0>", text))


def _escaped_start(match: re.Match[str]) -> str:
    space, mark = match.groups()
    return f"{space}{mark[:-1]}\\{mark[-1]}"


def harmless(code: str) -> str:
    """Code, unchanged except for mentions."""
    return _AT.sub(f"<{ZERO_WIDTH_SPACE}", code)


class TeamsSpans(SpanWriter):
    """Bare links stay bare: Teams finds them, and escapes would break them."""

    marks = {Strong: "**", Emphasis: "_", Strike: "~~"}  # noqa: RUF012

    def words(self, content: str) -> None:
        """Marks of lists and headings are escaped at the start of a line only."""
        at_start = not self.parts or self.parts[-1].endswith("\n")
        if content:
            self.parts.append(escape(content) if at_start else escape(f"x{content}")[1:])

    def code(self, content: str) -> None:
        is_code = "`" not in content  # else it cannot be shown as such
        self.parts.append(f"`{harmless(content)}`" if is_code else escape(content))

    def link(self, url: str, label: tuple[Span, ...]) -> None:
        words = plain_text(label).strip()
        if not _LINK.fullmatch(url):
            self.parts.append(escape(f"{words} ({url})" if url and words else words or url))
        elif not words and url.lower().startswith("http"):
            self.parts.append(url)
        else:
            target = url.replace("(", "%28").replace(")", "%29").replace("\\", "%5C")
            self.parts.append(f"[{escape(words or url)}]({target})")


class TeamsDrawing(Drawing):
    writer = TeamsSpans

    def text(self, spans: tuple[Span, ...]) -> list[RenderedLine]:
        lines = super().text(spans)
        return [RenderedLine(f"{line.text}  ") for line in lines[:-1]] + lines[-1:]

    def gap(self, above: Block, below: Block) -> str:
        """Lines that hug are one paragraph to Teams."""
        return super().gap(above, below) if isinstance(below, ListItem) else "\n\n"

    def code(self, content: str, info: str) -> list[RenderedLine]:
        return super().code(content, "")

    def literal(self, code: str) -> str:
        return harmless(code)

    def quoted(self, line: RenderedLine) -> RenderedLine:
        return RenderedLine(f"> {line.text}".rstrip(), line.is_code)


drawing = TeamsDrawing()
render = drawing.markdown

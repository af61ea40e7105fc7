"""Markdown -> the Markdown that Teams renders. Pure and total: any text in.

Teams knows no headings, rules, tables and images: headings become bold, tables code blocks,
images links. ``<`` never stands before a tag's name outside of code, and nowhere before ``at``.
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

_LINK = re.compile(r"(?:https?://|mailto:)[^\s<>\"]+", re.IGNORECASE)
_BARE_LINK = re.compile(r"https?://[^\s<>|\"`*\\]*[^\s<>|\"`.,;:!?'()\[\]{}*_~\\]")
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


class TeamsSpans(Spans):
    """Bare links stay bare: Teams finds them, and escapes would break them."""

    marks = {"strong": "**", "em": "_", "s": "~~"}  # noqa: RUF012
    hard_break = "  \n"

    def words(self, content: str) -> None:
        around_links(_BARE_LINK, content, self._write_escaped, self.parts.append)

    def code(self, content: str) -> None:
        is_code = "`" not in content  # else it cannot be shown as such
        self.parts.append(f"`{harmless(content)}`" if is_code else escape(content))

    def link(self, url: str, label: str) -> None:
        if not _LINK.fullmatch(url):
            self.parts.append(escape(f"{label} ({url})" if url and label else label or url))
        elif label in ("", url) and _BARE_LINK.fullmatch(url):
            self.parts.append(url)
        else:
            target = url.replace("(", "%28").replace(")", "%29").replace("\\", "%5C")
            self.parts.append(f"[{escape(label or url)}]({target})")

    def _write_escaped(self, text: str) -> None:
        """Marks of lists and headings are escaped at the start of a line only."""
        at_start = not self.parts or self.parts[-1].endswith("\n")
        if text:
            self.parts.append(escape(text) if at_start else escape(f"x{text}")[1:])


def _indented(line: RenderedLine, mark: str) -> RenderedLine:
    return RenderedLine(" " * (len(mark) + 1) + line.text, line.is_code) if line.text else line


def _quoted(line: RenderedLine) -> RenderedLine:
    return RenderedLine(f"> {line.text}".rstrip())


# A line that arrives later must not change the one above it ("lheading"): replies stream.
render = renderer(
    Markup(TeamsSpans, escape, harmless, lambda _: "-", _indented, _quoted, without=("lheading",))
)

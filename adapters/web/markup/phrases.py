"""Spans of text -> HTML that may stand in a paragraph (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape

from adapters.web.markup.escaping import code, words
from adapters.web.markup.mathml import formula
from adapters.web.markup.wall import passes, walled
from bot.markdown.links import is_misleading
from bot.markdown.tree import (
    CodeSpan,
    Emphasis,
    Formula,
    LineBreak,
    Link,
    Span,
    Strike,
    Strong,
    TextSpan,
    Underline,
    plain_text,
)

_LINK = re.compile(r"(?:https?://|mailto:)[^\s<>\"]+", re.IGNORECASE)
_TAGS = {Strong: "strong", Emphasis: "em", Strike: "s", Underline: "u"}


def phrases(spans: Iterable[Span]) -> str:
    """The text of one block; it has passed the wall."""
    return walled(_written(spans))


def _written(spans: Iterable[Span]) -> str:
    return "".join(map(_span, spans))


def _span(span: Span) -> str:
    match span:
        case TextSpan(content):
            return words(content)
        case CodeSpan(content):
            return f"<code>{code(content)}</code>"
        case Formula(latex, is_block):
            html = formula(latex, is_block=is_block)
            return f'<span class="scroll" tabindex="0">{html}</span>' if is_block else html
        case LineBreak():
            return "<br>"
        case Link(url, label):
            return _link(url, label)
        case _:
            tag = _TAGS[type(span)]
            return f"<{tag}>{_written(span.spans)}</{tag}>"


def _link(url: str, label: tuple[Span, ...]) -> str:
    """An address of another kind is text, and so is one that its label does not mean."""
    label_html = _written(label)
    address = words(url)
    if not _LINK.fullmatch(url) or address != escape(url) or not passes(address):
        return f"{label_html} ({address})" if url and label else label_html or address
    shown = label_html if plain_text(label).strip() else words(url.removeprefix("mailto:"))
    link = f'<a href="{address}">{shown}</a>'
    return f"{link} ({address})" if is_misleading(plain_text(label), url) else link

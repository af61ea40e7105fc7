"""markdown-it's inline tokens -> spans; the HTML that models write is what it means.

A tag without a partner in its paragraph, or that means nothing in a chat, is plain text:
``<YourName>`` and ``List<String>`` stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from html import unescape

from markdown_it.token import Token

from bot.formulas.scripts import subscript, superscript
from bot.markdown.tree import (
    CodeSpan,
    Emphasis,
    Formula,
    LineBreak,
    Link,
    Marked,
    Span,
    Strike,
    Strong,
    TextSpan,
    Underline,
    plain_text,
)

_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)\b([^<>]*)>")
_ATTRIBUTE = re.compile(r"""\b(href|src|alt)\s*=\s*(?:"([^"]*)"|'([^']*)')""", re.IGNORECASE)

_MARKS: dict[str, type[Marked]] = {
    "strong": Strong,
    "em": Emphasis,
    "s": Strike,
    "b": Strong,
    "summary": Strong,
    "th": Strong,
    "i": Emphasis,
    "var": Emphasis,
    "cite": Emphasis,
    "del": Strike,
    "strike": Strike,
    "u": Underline,
    "ins": Underline,
}
_MAX_MARKS = 50
_CODE = frozenset({"code", "kbd", "samp", "tt"})
_WITHOUT_MARK = frozenset({"span", "font", "small", "big", "mark", "abbr", "center", "td"})
_PAIRED = frozenset({*_MARKS, *_CODE, *_WITHOUT_MARK, "sub", "sup", "a"})
_BREAKS = frozenset({"br", "hr"})
_BLOCKS = frozenset({"details", "p", "div", "table", "tr", "ul", "ol", "li", "center"})
"""They may begin and end in other paragraphs, so they count at the edge of a line only."""


def spans_of(tokens: Iterable[Token]) -> tuple[Span, ...]:
    """Spans without empty ones; text that touches is one span."""
    return _joined(_nested([*tokens]))


class _Open:
    """An element that has begun: its name, the token that began it, and the spans in it so far."""

    def __init__(self, name: str, source: str = "", url: str = "") -> None:
        self.name = name
        self.source = source
        self.url = url
        self.spans: list[Span] = []


def _nested(tokens: Sequence[Token]) -> list[Span]:
    stack = [_Open("")]
    for number, token in enumerate(tokens):
        kind, _, edge = token.type.rpartition("_")
        match token.type:
            case "softbreak" | "hardbreak":
                stack[-1].spans.append(LineBreak())
            case "code_inline":
                stack[-1].spans.append(CodeSpan(token.content))
            case "formula":
                stack[-1].spans.append(Formula(token.content, token.block))
            case "image":
                label = tuple(_without_links(spans_of(token.children or ())))
                label = label or (TextSpan("image"),)
                stack[-1].spans.append(Link(str(token.attrs.get("src", "")), label))
            case "link_open":
                stack.append(_Open("link", url=str(token.attrs.get("href", ""))))
            case "html_inline":
                _take_tag(stack, token.content, at_edge=_is_at_edge(tokens, number))
            case _ if edge == "open":
                stack.append(_Open(kind))
            case _ if edge == "close":
                _close(stack, kind)
            case _:
                stack[-1].spans.append(TextSpan(token.content))
    while len(stack) > 1:
        _give_up(stack)
    return stack[0].spans


def _is_at_edge(tokens: Sequence[Token], number: int) -> bool:
    """Whether a tag begins or ends a line, other tags aside."""
    sides = (tokens[number - 1 : number] if number else (), tokens[number + 1 : number + 2])
    around = ("softbreak", "hardbreak", "html_inline")
    return any(not side or side[0].type in around for side in sides)


def _take_tag(stack: list[_Open], source: str, *, at_edge: bool) -> None:
    match = _TAG.fullmatch(source)
    name, is_end = (match[2].lower(), bool(match[1])) if match else ("", False)
    if match and name == "img":
        found = _attributes(match[3])
        label = TextSpan(found.get("alt") or "image")
        stack[-1].spans.append(Link(found.get("src", ""), (label,)))
    elif name in _BREAKS:
        stack[-1].spans.append(LineBreak())
    elif match and name in _PAIRED and not is_end:
        stack.append(_Open(name, source, _attributes(match[3]).get("href", "")))
    elif is_end and any(each.name == name and each.source for each in stack):
        _close(stack, name)
    elif name in _BLOCKS and at_edge:
        stack[-1].spans += [LineBreak()] if is_end else [TextSpan("• " if name == "li" else "")]
    else:
        stack[-1].spans.append(TextSpan(source))


def _attributes(text: str) -> dict[str, str]:
    return {name.lower(): unescape(one or other) for name, one, other in _ATTRIBUTE.findall(text)}


def _close(stack: list[_Open], name: str) -> None:
    """End the innermost element of this name; tags in it that were not closed are text."""
    while len(stack) > 1 and stack[-1].name != name:
        _give_up(stack)
    if len(stack) > 1:
        ended = stack.pop()
        stack[-1].spans.extend(_element(ended, is_deep=len(stack) > _MAX_MARKS))


def _give_up(stack: list[_Open]) -> None:
    """Its tag was text, and all that stood in it stands in the element around it."""
    unclosed = stack.pop()
    stack[-1].spans += [TextSpan(unclosed.source), *unclosed.spans]


def _element(ended: _Open, *, is_deep: bool) -> Iterable[Span]:
    """Marks within more marks than anybody writes are left out."""
    spans = _joined(ended.spans)
    if not spans:
        return ()
    if ended.name in ("link", "a"):
        return (_link(ended.url, spans),)
    if ended.name in _CODE:
        return (CodeSpan(plain_text(spans)),)
    if ended.name in ("sub", "sup"):
        return (TextSpan(_script(ended.name, plain_text(spans))),)
    is_mark = ended.name in _MARKS and not is_deep
    return (_MARKS[ended.name](spans),) if is_mark else spans


def _link(url: str, spans: tuple[Span, ...]) -> Span:
    """Links do not nest; an address that is its own label needs none."""
    label = tuple(_without_links(spans))
    words = plain_text(label).strip()
    return Link(url, () if words in ("", url, url.removeprefix("mailto:")) else label)


def _without_links(spans: Iterable[Span]) -> Iterable[Span]:
    for span in spans:
        if isinstance(span, Link):
            yield from span.spans or (TextSpan(span.url),)
        elif isinstance(span, Marked):
            yield type(span)(tuple(_without_links(span.spans)))
        else:
            yield span


def _script(name: str, words: str) -> str:
    convert: Callable[[str], str | None] = subscript if name == "sub" else superscript
    sign = "_" if name == "sub" else "^"
    return convert(words) or (f"{sign}{words}" if len(words) == 1 else f"{sign}({words})")


def _joined(spans: Sequence[Span]) -> tuple[Span, ...]:
    joined: list[Span] = []
    for span in spans:
        if isinstance(span, TextSpan):
            if not span.content:
                continue
            if joined and isinstance(joined[-1], TextSpan):
                joined[-1] = TextSpan(joined[-1].content + span.content)
                continue
        joined.append(span)
    return tuple(joined)

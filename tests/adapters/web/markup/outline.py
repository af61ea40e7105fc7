"""A reply as nested tuples, twice: from its tree, and from the HTML that a browser is given."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import escape
from typing import Any

from adapters.web.markup.mathml import formula
from adapters.web.markup.wall import passes
from bot.formulas.readable import readable
from bot.markdown.links import is_misleading
from bot.markdown.tree import (
    Block,
    CodeBlock,
    CodeSpan,
    Emphasis,
    Formula,
    Heading,
    LineBreak,
    Link,
    ListItem,
    Paragraph,
    Quote,
    Span,
    Strike,
    Strong,
    TableBlock,
    TextSpan,
    ThematicBreak,
    plain_text,
)
from tests.adapters.web.markup.reader import Element, read
from tests.markdown_shown import ADDRESS

Outline = tuple[Any, ...]
MARKS = {Strong: "strong", Emphasis: "em", Strike: "s"}
PHRASES = (*MARKS.values(), "u", "code", "br", "a", "span", "math")


def meant(blocks: Iterable[Block]) -> Outline:
    return tuple(map(_meant, blocks))


def _meant(block: Block) -> Outline:
    match block:
        case Paragraph(spans):
            return ("text", _phrases(spans))
        case Heading(level, spans):
            return (f"h{min(level + 2, 6)}", _phrases(spans))
        case CodeBlock(content):
            return ("code", content)
        case TableBlock(head, rows):
            return ("table", *(tuple(map(_phrases, row)) for row in (head, *rows)))
        case Quote(blocks):
            return ("quote", meant(blocks))
        case ListItem(blocks, number):
            return ("item", number, meant(blocks))
        case ThematicBreak():
            return ("rule",)


def _phrases(spans: Iterable[Span]) -> Outline:
    return _joined(each for span in spans for each in _written(span))


def _written(span: Span) -> Iterator[Any]:
    match span:
        case TextSpan(content):
            yield content
        case CodeSpan(content):
            yield ("code", (content,) if content else ())
        case LineBreak():
            yield ("br", ())
        case Formula(latex, is_block):
            is_math = formula(latex, is_block=is_block).startswith("<math")
            lines = [] if is_math else readable(latex, on_one_line=not is_block).split("\n")
            inner = [("math", ())] if is_math else [*_with_breaks(lines)]
            yield from [("span", _joined(inner))] if is_block else inner
        case Link(url, label) if _is_link(url):
            shown = _phrases(label) if plain_text(label).strip() else (url.removeprefix("mailto:"),)
            yield ("a", url, shown)
            yield f" ({url})" if is_misleading(plain_text(label), url) else ""
        case Link(url, label):
            yield from _phrases(label)
            yield f" ({url})" if url and label else url
        case _:
            yield (MARKS.get(type(span), "u"), _phrases(span.spans))


def _is_link(url: str) -> bool:
    """A browser must be able to go there: to any host in Latin letters, at any short port."""
    host = re.split("[/?#]", re.sub(r"(?i)\A(?:https?://|mailto:)", "", url))[0]
    is_plain = re.fullmatch(r"[\w.@+-]+(?::\d{1,4})?", host, re.ASCII)
    return ADDRESS.fullmatch(url) is not None and bool(is_plain or passes(escape(url)))


def _with_breaks(lines: Iterable[str]) -> Iterator[Any]:
    for number, line in enumerate(lines):
        yield from [("br", ()), line] if number else [line]


def _joined(parts: Iterable[Any]) -> Outline:
    """Text that touches is one text."""
    found: list[Any] = []
    for part in parts:
        if isinstance(part, str) and found and isinstance(found[-1], str):
            found[-1] += part
        elif part != "":
            found.append(part)
    return tuple(found)


def shown(html: Iterable[str]) -> Outline:
    return _shown(map(read, html))


def _shown(elements: Iterable[Element]) -> Outline:
    return tuple(each for element in elements for each in _blocks(element))


def _blocks(element: Element) -> Iterator[Outline]:
    match element.tag:
        case "p":
            yield ("text", _parts(element.children))
        case "h3" | "h4" | "h5" | "h6":
            yield (element.tag, _parts(element.children))
        case "figure":
            button, code = element.elements
            assert (button.tag, code.tag) == ("button", "pre")
            yield ("code", code.text)
        case "div":
            (table,) = element.elements
            yield ("table", *(tuple(_parts(c.children) for c in r.elements) for r in _rows(table)))
        case "blockquote":
            yield ("quote", _shown(element.elements))
        case "ul" | "ol":
            for number, item in enumerate(
                element.elements, int(element.attributes.get("start", 1))
            ):
                yield ("item", number if element.tag == "ol" else None, _item(item))
        case tag:
            assert tag == "hr"
            yield ("rule",)


def _rows(table: Element) -> list[Element]:
    return [*table.every("tr")]


def _item(item: Element) -> Outline:
    """Its text may stand in it without a paragraph."""
    count = 0
    for each in item.children:
        if isinstance(each, Element) and each.tag not in PHRASES:
            break
        count += 1
    text = [("text", _parts(item.children[:count]))] if count else []
    rest = [each for each in item.children[count:] if isinstance(each, Element)]
    assert count + len(rest) == len(item.children)
    return (*text, *_shown(rest))


def _parts(children: Iterable[Element | str]) -> Outline:
    return tuple(each if isinstance(each, str) else _part(each) for each in children)


def _part(element: Element) -> Outline:
    match element.tag:
        case "math":
            return ("math", ())
        case "a":
            return ("a", element.attributes["href"], _parts(element.children))
        case tag:
            return (tag, _parts(element.children))

"""What a tree of Markdown says, whatever the platform: its words, links and code."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from bot.markdown.drawing import table_lines
from bot.markdown.tree import (
    Block,
    CodeBlock,
    CodeSpan,
    Formula,
    Heading,
    LineBreak,
    Link,
    ListItem,
    Paragraph,
    Quote,
    Span,
    TableBlock,
    TextSpan,
    ThematicBreak,
    plain_text,
)

ADDRESS = re.compile(r"(?:https?://|mailto:)[^\s<>]+", re.IGNORECASE)
"""What a platform can be given as a link."""


@dataclass
class Shown:
    """``links``: address and label, which is empty where the address is its own label."""

    text: str = ""
    links: list[tuple[str, str]] = field(default_factory=list)
    code: list[str] = field(default_factory=list)
    blocks: list[str] = field(default_factory=list)


def shown(blocks: Iterable[Block]) -> Shown:
    found = Shown()
    for block in blocks:
        _take(block, found)
    return found


def texts_of(blocks: Iterable[Block]) -> Iterator[Sequence[Span]]:
    """The spans of each paragraph and heading, in order."""
    for block in blocks:
        match block:
            case Paragraph(spans) | Heading(_, spans):
                yield spans
            case Quote(inner) | ListItem(inner):
                yield from texts_of(inner)
            case _:
                pass


def _take(block: Block, found: Shown) -> None:
    match block:
        case Paragraph(spans) | Heading(_, spans):
            _take_spans(spans, found)
        case CodeBlock(content):
            found.text += content
            found.blocks.append(content)
        case TableBlock():
            found.text += "\n".join(table_lines(block))
        case Quote(blocks):
            for each in blocks:
                _take(each, found)
        case ListItem(blocks, number):
            found.text += f"{number}. " if number is not None else ""
            for each in blocks:
                _take(each, found)
        case ThematicBreak():
            pass
    found.text += "\n"


def _take_spans(spans: Iterable[Span], found: Shown) -> None:
    for span in spans:
        match span:
            case TextSpan(content):
                found.text += content
            case CodeSpan(content):
                found.text += content
                found.code.append(content)
            case Formula():
                found.text += plain_text((span,))
            case LineBreak():
                found.text += "\n"
            case Link(url, label):
                _take_link(url, plain_text(label).strip(), found)
            case _:
                _take_spans(span.spans, found)


def _take_link(url: str, label: str, found: Shown) -> None:
    if ADDRESS.fullmatch(url):
        found.links.append((url, label))
        found.text += label or url.removeprefix("mailto:")
    else:
        found.text += f"{label} ({url})" if url and label else label or url

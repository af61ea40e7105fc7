"""What Teams shows of a message in Markdown, read by markdown-it and not by anything of Parley's.

Raw HTML is active in Teams, so whatever would be a tag is refused. Headings, rules, tables and
images do not work there, and lines that are set in are code only to some: a message that holds
any of them, to any reader of Markdown, is refused as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from markdown_it import MarkdownIt
from markdown_it.token import Token

_MARKS = {"strong": "strong", "em": "em", "s": "strike"}
_REFUSED = frozenset(
    {"html_inline", "html_block", "heading_open", "hr", "table_open", "image", "code_block"}
)
_ADDRESS = re.compile(r"(?<![a-z0-9+.-])https?://[^\s<>]*[^\s<>.,;:!?)]", re.IGNORECASE)


class RefusedMarkdown(AssertionError):
    """Teams shows this in a way that nobody meant."""


@dataclass(frozen=True, slots=True)
class Sign:
    """One character as people see it. ``level``: how many lists it stands in.

    ``kind``: ``span`` and ``block`` of code, or the ``bullet`` or number of an item. ``url`` is
    where a click on it leads.
    """

    character: str
    marks: frozenset[str] = frozenset()
    kind: str = ""
    url: str = ""
    quotes: int = 0
    level: int = 0


class _Verbatim(MarkdownIt):
    def normalizeLink(self, url: str) -> str:  # noqa: N802
        return url

    def validateLink(self, url: str) -> bool:  # noqa: N802
        return True


def _reader(*without: str) -> MarkdownIt:
    markdown = _Verbatim("commonmark", {"html": True})
    return markdown.enable(["table", "strikethrough"]).disable([*without])


_FULL = _reader()
_REDUCED = _reader("heading", "lheading", "hr", "table", "image", "reference", "code")


def signs_of(message: str) -> list[Sign]:
    """Everything but blanks between words. Raises ``RefusedMarkdown``."""
    readings = [[*_signs(reader.parse(message))] for reader in (_REDUCED, _FULL)]
    if readings[0] != readings[1]:
        raise RefusedMarkdown(f"it depends on the reader: {message!r}")
    return readings[0]


def code_of(message: str, kind: str) -> list[str]:
    """What stands in every ``fence`` or ``code_inline``, byte for byte."""
    tokens = [token for each in _FULL.parse(message) for token in (each, *(each.children or ()))]
    return [token.content.removesuffix("\n") for token in tokens if token.type == kind]


def shown(text: str, like: Sign) -> Iterator[Sign]:
    return (replace(like, character=each) for each in text if not each.isspace())


def runs(signs: Sequence[Sign]) -> list[tuple[str, Sign]]:
    """Signs of one look together: easier to read where two lists differ."""
    groups = groupby(signs, key=lambda sign: replace(sign, character=""))
    return [("".join(each.character for each in group), look) for look, group in groups]


def _signs(tokens: Sequence[Token]) -> Iterator[Sign]:
    like = Sign("")
    numbers: list[int | None] = []
    for token in tokens:
        if token.type in _REFUSED:
            raise RefusedMarkdown(f"{token.type}: {token.content!r}")
        match token.type:
            case "blockquote_open" | "blockquote_close":
                like = replace(like, quotes=like.quotes + token.nesting)
            case "ordered_list_open":
                numbers.append(int(token.attrs.get("start", 1)))
            case "bullet_list_open":
                numbers.append(None)
            case "ordered_list_close" | "bullet_list_close":
                numbers.pop()
            case "list_item_open":
                number = numbers[-1]
                bullet = "-" if number is None else f"{number}."
                yield from shown(bullet, replace(like, kind="bullet"))
                numbers[-1] = None if number is None else number + 1
                like = replace(like, level=like.level + 1)
            case "list_item_close":
                like = replace(like, level=like.level - 1)
            case "fence":
                yield from shown(token.content, replace(like, kind="block"))
            case "inline":
                yield from _inline(token.children or (), like)


def _inline(tokens: Sequence[Token], like: Sign) -> Iterator[Sign]:
    plain = ""
    for token in tokens:
        if token.type in _REFUSED:
            raise RefusedMarkdown(f"{token.type}: {token.content!r}")
        if token.type == "text":
            plain += token.content
            continue
        yield from text(plain, like)
        plain = ""
        kind, _, edge = token.type.rpartition("_")
        if token.type == "code_inline":
            yield from shown(token.content, replace(like, kind="span"))
        elif kind == "link":
            like = replace(like, url=str(token.attrs.get("href", "")))
        elif kind in _MARKS and edge == "open":
            like = replace(like, marks=like.marks | {_MARKS[kind]})
        elif kind in _MARKS:
            like = replace(like, marks=like.marks - {_MARKS[kind]})
    yield from text(plain, like)


def text(content: str, like: Sign) -> Iterator[Sign]:
    """With the addresses that Teams finds by itself."""
    end = 0
    for match in () if like.url else _ADDRESS.finditer(content):
        yield from shown(content[end : match.start()], like)
        yield from shown(match[0], replace(like, url=match[0]))
        end = match.end()
    yield from shown(content[end:], like)

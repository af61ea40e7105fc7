"""Which addresses of a reply are links, and which are shown as code (pure).

A link whose address the model made up can carry what the thread holds to whoever owns the
host. An address that people, their files or the personality gave it carries nothing new.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, Self

from bot.markdown.addresses import end_of_address
from bot.markdown.tree import (
    Block,
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
)

LinkSetting = Literal["known", "all", "none"]

_SPACELESS = "[\u0e00-\u0eff\u1000-\u11ff\u1780-\u17ff\u2e80-\uffef]"
_LETTER = f"(?:(?!(?-i:{_SPACELESS}))[^\\W_])"
"""Of a host's name, without the scripts that put no space before one. (Were they compared
whatever their case, each of their characters would be looked up when this is compiled.)"""

_LABEL = f"{_LETTER}(?:(?:{_LETTER}|-){{0,61}}{_LETTER})?"
_TOP = "(?:[a-z]{2,24}|xn--[a-z0-9-]{2,59}|рф|укр|бел|срб|сайт|онлайн)"
_ADDRESS = re.compile(
    rf"""
    (?P<scheme> (?<![a-z0-9]) [a-z][a-z0-9+.-]{{0,20}}:// )
    | (?P<mail> (?<![a-z0-9_.+-]) [a-z0-9_.+-]{{1,64}} @ {_LABEL} (?:\.{_LABEL}){{1,8}} )
    | (?P<host> (?<!{_LETTER}) (?<![_@.+-]) (?:{_LABEL}\.){{1,20}} {_TOP}
                (?!{_LETTER}|[_@-]) (?: :\d{{1,5}} )? )
      (?P<path> [/?\#] )?
    """,
    re.IGNORECASE | re.VERBOSE,
)
_BETWEEN_BRACKETS = re.compile(r"(?:[^\s<>|\"`\\()]|\([^\s()]{0,200}\)){1,400}")
_SUSPECT = re.compile(r"(?<!\S)\S*?(?:://|@|\.(?=[^\W_]))\S*")
"""A run without blanks that may hold an address: most text is passed over by this alone."""

_HTTP = re.compile(r"https?://", re.IGNORECASE)
_MAX_ADDRESS = 4_000
_NO_TOP_LEVEL = frozenset(
    """
    bak bmp cfg conf cpp css csv dll doc docx exe gif go gz hpp htm html ini jar java jpeg jpg js
    json jsonl jsx kt log lua mjs pdf php png ppt pptx scss sql svg swift tar tgz toml ts tsv tsx
    txt vue wasm xls xlsx xml yaml yml
    """.split()  # noqa: SIM905
)
"""Ends of the names of files and libraries, which clients do not take for a host's."""

_USUAL_TOP_LEVEL = frozenset(
    """
    app at au be biz br ca ch cloud cn co com cz de dev dk edu es eu fr gov icu in info io it jp
    kr link live me mx net nl no online org pt ru se shop site store tech tk top tr tw ua uk us
    xyz рф укр
    """.split()  # noqa: SIM905
)
"""Where a name of three words and more is a host's, without a path: its first can be anything."""


@dataclass(frozen=True, slots=True)
class LinkPolicy:
    """``known``: the addresses that are links, in one form each; None: all are."""

    known: frozenset[str] | None

    @classmethod
    def of(cls, setting: LinkSetting, texts: Iterable[str] = ()) -> Self:
        """``texts``: all that was said to the model, but for what it said itself."""
        if setting != "known":
            return cls(None if setting == "all" else frozenset())
        return cls(frozenset(each for text in texts for each in _forms_in(text)))

    def knowing(self, more: Self) -> Self:
        """What either knows."""
        if self.known is None or more.known is None:
            return type(self)(None)
        return type(self)(self.known | more.known)

    def knows(self, address: str) -> bool:
        return self.known is None or _form(address) in self.known

    def shown(self, block: Block) -> Block:
        """The block with code in place of each address that is no link."""
        if self.known is None:
            return block
        match block:
            case Paragraph(spans) | Heading(_, spans):
                return replace(block, spans=self._spans(spans))
            case TableBlock(head, rows):
                cells = tuple(tuple(map(self._spans, row)) for row in (head, *rows))
                return replace(block, head=cells[0], rows=cells[1:])
            case Quote(blocks) | ListItem(blocks):
                return replace(block, blocks=tuple(map(self.shown, blocks)))
            case _:
                return block

    def _spans(self, spans: Iterable[Span]) -> tuple[Span, ...]:
        return tuple(each for span in spans for each in self._span(span))

    def _span(self, span: Span) -> Iterator[Span]:
        match span:
            case TextSpan(content):
                yield from self._words(content)
            case Link("", label):
                yield from self._spans(label)
            case Link(url, label) if not self.knows(url):
                yield from self._unlinked(url.removeprefix("mailto:"), label)
            case Formula(latex) if any(not self.knows(each) for each in _written_in(latex)):
                yield _code(" ".join(latex.split()))
            case CodeSpan() | Formula() | Link() | LineBreak():
                yield span
            case _:
                yield type(span)(self._spans(span.spans))

    def _unlinked(self, address: str, label: tuple[Span, ...]) -> Iterator[Span]:
        if not label:
            yield _code(address)
            return
        yield from self._spans(label)
        yield from (TextSpan(" ("), _code(address), TextSpan(")"))

    def _words(self, content: str) -> Iterator[Span]:
        end = 0
        for start, stop in _places(content):
            if _is_taken_for_a_link(content[start:stop]) and not self.knows(content[start:stop]):
                if start > end:
                    yield TextSpan(content[end:start])
                yield _code(content[start:stop])
                end = stop
        if end < len(content):
            yield TextSpan(content[end:])


def _code(address: str) -> CodeSpan:
    """Without backticks, around which not every platform has code."""
    return CodeSpan(address.replace("`", "%60"))


def _written_in(text: str) -> Iterator[str]:
    """The addresses that a client takes for links."""
    found = (text[start:stop] for start, stop in _places(text))
    return (each for each in found if _is_taken_for_a_link(each))


def _places(text: str) -> Iterator[tuple[int, int]]:
    """Where addresses, with a scheme or without, begin and end; in order, and none in another."""
    for run in _SUSPECT.finditer(text):
        yield from _places_in(text, *run.span())


def _places_in(text: str, position: int, end: int) -> Iterator[tuple[int, int]]:
    while match := _ADDRESS.search(text, position, end):
        start, position = match.span(match.lastgroup or 0)
        if match["scheme"] or match["path"]:
            start = match.start()
            within = text[start : start + _MAX_ADDRESS]
            position = max(match.end("host"), start + end_of_address(within, 0), start + 1)
        if not match["scheme"] or position > match.end():
            yield start, position
        position = max(position, match.end())


def _is_taken_for_a_link(address: str) -> bool:
    match = _ADDRESS.match(address)
    if match is None or not match["host"]:
        return True
    *words, top = match["host"].partition(":")[0].lower().split(".")
    if top in _NO_TOP_LEVEL:
        return False
    has_path = len(address) > len(match["host"])
    return has_path or words[0] == "www" or (len(words) > 1 and top in _USUAL_TOP_LEVEL)


def _forms_in(text: str) -> Iterator[str]:
    """Every address in a text of any kind, and those within: in a list, or behind another one.

    Where it ends is not always certain, so all of it up to a bracket or blank is one, too.
    """
    for start, stop in _places(text):
        address = text[start:stop]
        yield _form(address)
        yield _form(re.split("[,;]", address, maxsplit=1)[0])
        if whole := _BETWEEN_BRACKETS.match(text, start):
            is_mail = text.endswith("mailto:", 0, start)
            yield _form(f"mailto:{whole[0]}" if is_mail else whole[0])
        for match in [*_HTTP.finditer(address, 1)][-1:]:
            yield _form(address[match.start() :])


def _form(address: str) -> str:
    """The same for addresses that lead to the same: http is https, a host has no capitals."""
    address = address.strip().replace("&amp;", "&")
    if "://" not in address and "@" in address and not re.search("[/?#]", address):
        return f"mailto:{address.lower().removeprefix('mailto:')}"
    plain = _HTTP.sub("", address, count=1)
    host = re.split("[/?#]", plain, maxsplit=1)[0]
    path = re.split("[?#]", plain[len(host) :], maxsplit=1)[0]
    return f"{host.lower()}{path.removesuffix('/')}{plain[len(host) + len(path) :]}"


def is_misleading(label: str, url: str) -> bool:
    """Whether a label names an address that is not the one to which it leads; its host may be."""
    seen = "".join(each for each in label if each.isprintable())
    meant = (_form(url), _without_www(re.split("[/?#]", _form(url), maxsplit=1)[0]))
    named = (seen[start:stop] for start, stop in _places(seen))
    return any(
        _form(each) != meant[0] and _without_www(_form(each)) != meant[1]
        for each in named
        if _is_taken_for_a_link(each) or _is_usual_host(each)
    )


def _without_www(form: str) -> str:
    return form.removeprefix("www.")


def _is_usual_host(address: str) -> bool:
    return address.partition(":")[0].lower().rpartition(".")[2] in _USUAL_TOP_LEVEL

"""The HTML that Teams attaches to a message, as text: emoji, code, lists, and quoted messages.

Teams' plain copy of a message lacks all of these: an emoji is a picture, code has no marks, and
a forwarded message follows the person's own words as if they had written it.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

_MAX_SIZE = 100_000
"""Characters; Teams takes far less."""

_MAX_DEPTH = 30
_EDGE = "\0"
"""Stands where a block begins or ends, until the text is put together."""

_EDGES = re.compile(r" *\0[ \0]*")
_BLANK = re.compile(r"[ \t\r\n]+")
_VALUE = r"""\"[^"<]*"|'[^'<]*'"""
_TOKEN = re.compile(
    rf"<!(?:--)?[^<>]*>|<(/?)([a-zA-Z][a-zA-Z0-9]*)\b((?:{_VALUE}|[^\"'<>])*)>|([^<]+|<)"
)
_ATTRIBUTE = re.compile(rf"(?<![a-zA-Z-])([a-zA-Z-]+)\s*=\s*({_VALUE}|[^\s\"'<>]+)")
_AT = re.compile(r"</?at\b[^>]*>", re.IGNORECASE)
_VOID = frozenset({"br", "hr", "img", "wbr"})
_BLOCKS = frozenset(
    {"p", "div", "ul", "ol", "li", "table", "tr", "hr", *(f"h{n}" for n in "123456")}
)

Kind = Literal["reply", "forward"]


@dataclass(frozen=True, slots=True)
class QuotedMessage:
    """``id`` and ``author`` are empty where Teams does not tell them."""

    kind: Kind
    text: str
    author: str = ""
    id: str = ""


@dataclass(frozen=True, slots=True)
class FormattedMessage:
    """``text``: the person's own words; ``letters``: what the plain copy has of them, too.

    ``named_letters``: with the mentions of Parley. ``adds``: there is emoji, code or the address
    behind a word, which the plain copy lacks.
    """

    text: str = ""
    letters: str = ""
    named_letters: str = ""
    quotes: tuple[QuotedMessage, ...] = ()
    adds: bool = False


def letters_of(text: str) -> str:
    """What two copies of the same words have in common, however they are laid out."""
    return "".join(filter(str.isalnum, _AT.sub("", text)))


def read_html(content: str, own_names: Iterable[str] = ()) -> FormattedMessage:
    """``own_names``: a name for each mention of Parley, which is left out."""
    root = _tree(content[:_MAX_SIZE].replace(_EDGE, ""))
    quotes = tuple(map(_quoted_message, _taken(root, _is_quote)))
    named_letters = letters_of(_raw(root))
    names = list(own_names)
    _taken(root, lambda each: _is_own_mention(each, names))
    adds = any(map(_is_only_here, _elements(root)))
    return FormattedMessage(_text(root), letters_of(_raw(root)), named_letters, quotes, adds)


@dataclass(slots=True, eq=False)
class _Element:
    tag: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[_Element | str] = field(default_factory=list)

    def attribute(self, name: str) -> str:
        return self.attributes.get(name, "")


def _tree(content: str) -> _Element:
    """What nests too deep becomes flat; an end without a beginning is ignored.

    In linear time for any content, unlike ``html.parser``.
    """
    open_ = [_Element()]
    for token in _TOKEN.finditer(content):
        slash, tag, attributes, text = token.groups()
        if text is not None:
            open_[-1].children.append(html.unescape(text))
        elif slash:
            _close(open_, tag.lower())
        elif tag:
            element = _Element(tag.lower(), _attributes(attributes))
            open_[-1].children.append(element)
            is_empty = element.tag in _VOID or attributes.endswith("/")
            if not is_empty and len(open_) < _MAX_DEPTH:
                open_.append(element)
    return open_[0]


def _close(open_: list[_Element], tag: str) -> None:
    for depth in range(len(open_) - 1, 0, -1):
        if open_[depth].tag == tag:
            del open_[depth:]
            return


def _attributes(text: str) -> dict[str, str]:
    found = _ATTRIBUTE.finditer(text)
    return {each[1].lower(): html.unescape(each[2].strip("\"'")) for each in found}


def _elements(root: _Element) -> Iterator[_Element]:
    for child in root.children:
        if isinstance(child, _Element):
            yield child
            yield from _elements(child)


def _taken(root: _Element, is_wanted: Callable[[_Element], bool]) -> list[_Element]:
    """The wanted elements, in order, taken out of the tree; none within another."""
    taken: list[_Element] = []
    kept: list[_Element | str] = []
    for child in root.children:
        if isinstance(child, _Element) and is_wanted(child):
            taken.append(child)
        else:
            kept.append(child)
            taken += _taken(child, is_wanted) if isinstance(child, _Element) else ()
    root.children = kept
    return taken


def _is_quote(element: _Element) -> bool:
    """A quotation that the person made has no type."""
    return element.tag == "blockquote" and bool(element.attribute("itemtype"))


def _is_author(element: _Element) -> bool:
    return element.attribute("itemprop") in ("mri", "name", "time")


def _is_only_here(element: _Element) -> bool:
    if element.tag == "a":
        label = "".join(child for child in element.children if isinstance(child, str))
        return _linked(label, element.attribute("href")) != label
    return _is_emoji(element) or element.tag in ("code", "pre")


def _is_emoji(element: _Element) -> bool:
    return element.tag == "emoji" or element.attribute("itemtype").endswith("/Emoji")


def _is_mention(element: _Element) -> bool:
    return element.tag == "at" or element.attribute("itemtype").endswith("/Mention")


def _is_own_mention(element: _Element, names: list[str]) -> bool:
    """Each of ``names`` counts once, and is taken out."""
    if not _is_mention(element) or (name := _text(element).removeprefix("@")) not in names:
        return False
    names.remove(name)
    return True


def _quoted_message(quote: _Element) -> QuotedMessage:
    is_forward = quote.attribute("itemtype").endswith("/Forward")
    author = " ".join(_text(each) for each in _taken(quote, _is_author)).strip()
    kind: Kind = "forward" if is_forward else "reply"
    return QuotedMessage(kind, _text(quote), author, quote.attribute("itemid"))


def _text(element: _Element) -> str:
    text = _EDGES.sub("\n", _inner(element)).replace("\u00a0", " ")
    return "\n".join(line.rstrip() for line in text.split("\n")).strip()


def _inner(element: _Element) -> str:
    return "".join(
        _BLANK.sub(" ", child) if isinstance(child, str) else _shown(child)
        for child in element.children
    )


def _shown(element: _Element) -> str:
    match element.tag:
        case "br":
            return "\n"
        case "pre" | "codeblock":
            return f"{_EDGE}{_fenced(_raw(element).strip(chr(10)))}{_EDGE}"
        case "code":
            return f"`{_raw(element)}`"
        case "blockquote":
            lines = _text(element).split("\n")
            return _EDGE + "\n".join(f"> {line}" for line in lines) + _EDGE
        case "ul" | "ol":
            return f"{_EDGE}{_items(element)}{_EDGE}"
        case "a":
            return _linked(_inner(element), element.attribute("href"))
        case "td" | "th":
            return f"{_inner(element).replace(_EDGE, ' ')} | "
        case _ if _is_emoji(element):
            return element.attribute("alt") or _inner(element)
        case _ if _is_mention(element):
            return f"@{_inner(element)}"
        case tag if tag in _BLOCKS:
            return f"{_EDGE}{_inner(element)}{_EDGE}"
    return _inner(element)


def _raw(element: _Element) -> str:
    """The characters alone; the blanks of code count."""
    parts = (
        child if isinstance(child, str) else "\n" if child.tag == "br" else _raw(child)
        for child in element.children
    )
    return "".join(parts).replace("\u00a0", " ")


def _fenced(code: str) -> str:
    fence = "```"
    while fence in code:
        fence += "`"
    return f"{fence}\n{code}\n{fence}"


def _items(element: _Element) -> str:
    shown: list[str] = []
    for child in element.children:
        if isinstance(child, _Element):
            mark = f"{len(shown) + 1}." if element.tag == "ol" else "-"
            item = _text(child).replace("\n", "\n" + " " * (len(mark) + 1))
            shown.append(f"{mark} {item}")
    return "\n".join(shown)


def _linked(label: str, address: str) -> str:
    is_bare = not address.startswith(("http://", "https://")) or address.rstrip("/") in label
    return label if is_bare else f"{label} ({address})"

"""What a browser makes of a block: read strictly, and only if it holds nothing but what may be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = ("br", "hr")
LINK = {"target": "_blank", "rel": "noopener noreferrer nofollow"}
TAGS = frozenset(
    """
    p h3 h4 h5 h6 ul ol li blockquote hr br div table thead tbody tr th td figure button pre code
    strong em s u a span
    """.split()  # noqa: SIM905
)
MATH = frozenset(
    """
    math menclose mfrac mi mn mo mover mpadded mphantom mroot mrow mspace msqrt mstyle msub
    msubsup msup mtable mtd mtext mtr munder munderover
    """.split()  # noqa: SIM905
)
ATTRIBUTES = {
    "dir": re.compile("auto|ltr"),
    "tabindex": re.compile("0"),
    "start": re.compile(r"\d{1,9}"),
    "type": re.compile("button"),
    "data-lang": re.compile(r"[\w+#.-]{1,21}"),
    "class": re.compile("code|copy|scroll|lines|c|k|kt|s|se|m|ow|nb|nf|nc|nd|nt|na|nv|gh|gi|gd"),
    "href": re.compile(r"(?i)(https?://|mailto:)\S+"),
    "target": re.compile("_blank"),
    "rel": re.compile("noopener noreferrer nofollow"),
}
MATH_VALUE = re.compile(r"[-+.a-z0-9 ]{1,40}")
NO_MATH_ATTRIBUTES = re.compile("href|class|style|id|on.*|.*color|.*background|xlink.*")


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    children: list[Element | str] = field(default_factory=list)

    @property
    def elements(self) -> list[Element]:
        return [each for each in self.children if isinstance(each, Element)]

    @property
    def text(self) -> str:
        return "".join(each if isinstance(each, str) else each.text for each in self.children)

    def every(self, tag: str) -> Iterator[Element]:
        for each in self.elements:
            if each.tag == tag:
                yield each
            yield from each.every(tag)


def read(html: str) -> Element:
    """The one element of a block; fails where a tag has no partner or may not be there."""
    parser = _Parser()
    parser.feed(html)
    parser.close()
    assert len(parser.stack) == 1, f"open: {parser.stack[-1].tag}"
    (block,) = parser.stack[0].children
    assert isinstance(block, Element)
    return block


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.stack = [Element("", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        assert len(found) == len(attrs)
        is_math = tag in MATH
        assert is_math or tag in TAGS, tag
        for name, value in found.items():
            if is_math:
                assert not NO_MATH_ATTRIBUTES.fullmatch(name), name
                assert MATH_VALUE.fullmatch(value), (name, value)
            else:
                assert ATTRIBUTES[name].fullmatch(value), (name, value)
        if tag == "a":
            assert found.items() >= LINK.items()
        element = Element(tag, found)
        self.stack[-1].children.append(element)
        if tag not in VOID:
            self.stack.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop().tag == tag

    def handle_data(self, data: str) -> None:
        self.stack[-1].children.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    def handle_decl(self, decl: str) -> None:
        raise AssertionError(decl)

    def handle_pi(self, data: str) -> None:
        raise AssertionError(data)

    def unknown_decl(self, data: str) -> None:
        raise AssertionError(data)

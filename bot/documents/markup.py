"""HTML as a tree without what a reader does not see, and all of its words."""

from __future__ import annotations

import re
from typing import Any

from lxml import etree, html  # type: ignore[import-untyped]

_DECLARED = re.compile(rb"""<(?:meta|\?xml)[^>]*?(?:charset|encoding)\s*=\s*["']?([\w:-]+)""", re.I)
_UNSEEN_TAGS = ("script", "style", "template", "noscript", "iframe", "object", "svg", "canvas")
_UNSEEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|(?:font-size|opacity)\s*:\s*0(?:\.0+)?(?![.\d])"
    r"|(?:left|top|text-indent)\s*:\s*-\d{3,}",
    re.I,
)
_COLOUR = re.compile(r"(?:^|;)\s*(color|background(?:-color)?)\s*:\s*([^;]+)", re.I)
_OPENING = etree.XPath("//@aria-controls | //@data-target | //@data-bs-target | //a/@href")
_MARKS_ONLY = etree.XPath(
    "//a[contains(@class, 'headerlink') or contains(@class, 'hash-link')]"
    "|//*[contains(@class, 'mw-editsection')]"
)
_PARAGRAPHS = "address article blockquote dl div fieldset figure ol p pre section table ul"
_LINES = "br dd dt figcaption hr option tr"
_BEFORE = {
    **dict.fromkeys(_PARAGRAPHS.split(), "\n\n"),
    **dict.fromkeys(_LINES.split(), "\n"),
    **{f"h{level}": f"\n\n{'#' * level} " for level in range(1, 7)},
    "li": "\n- ",
}
_AFTER = {
    **{tag: "\n\n" for tag, mark in _BEFORE.items() if mark.startswith("\n\n")},
    **dict.fromkeys(["td", "th"], " | "),
}
_SPACE = re.compile(r"\s+")
_MARK = re.compile(r"#+ |- |\|")
_TARGET_BELOW = re.compile(r"\n+(\(https?://\S+\))$", re.M)


def declared_encoding(data: bytes) -> str:
    """The name that HTML or XML begins with; empty if there is none."""
    found = _DECLARED.search(data[:4096])
    return found[1].decode("ascii", "ignore") if found else ""


def tree_of(text: str) -> Any:
    """The root of a page, or of a piece of one, without comments. None if it holds nothing."""
    parser = html.HTMLParser(
        encoding="utf-8", remove_comments=True, remove_pis=True, huge_tree=True
    )
    try:
        root = html.document_fromstring(text.encode("utf-8", "replace"), parser=parser)
    except etree.ParserError:
        return None
    _remove_unseen(root)
    return root


def words_of_markup(text: str) -> str:
    """Of a piece of HTML, in paragraphs."""
    root = tree_of(text) if "<" in text or "&" in text else None
    return all_words(root) if root is not None else text


def all_words(root: Any, *, is_marked: bool = False) -> str:
    """In paragraphs. ``is_marked``: with the marks of headings and lists, and where links lead."""
    shown: list[str] = []
    for event, element in etree.iterwalk(root, events=("start", "end")):
        is_start = event == "start"
        mark = (_BEFORE if is_start else _AFTER).get(element.tag, "")
        if is_marked and not is_start and element.tag == "a":
            mark = _target(element)
        text = (element.text if is_start else element.tail) or ""
        if element.tag != "pre" or not is_start:
            text = _SPACE.sub(" ", text)
        shown += [mark if is_marked else _MARK.sub("", mark), text]
    return _without_gaps("".join(shown))


def _target(link: Any) -> str:
    address = link.get("href", "")
    return f" ({address})" if address.startswith(("http://", "https://")) else ""


def _without_gaps(text: str) -> str:
    lines = (line.strip(" |") for line in text.split("\n"))
    joined = _TARGET_BELOW.sub(r" \1", "\n".join(lines))
    return re.sub(r"\n{3,}", "\n\n", joined).strip()


def _remove_unseen(root: Any) -> None:
    """Also marks beside headings. What a link or a button opens is seen, and so is a heading."""
    etree.strip_elements(root, *_UNSEEN_TAGS, with_tail=False)
    opened = {each.removeprefix("#") for value in _OPENING(root) for each in value.split()}
    for element in [*root.iterdescendants()]:
        if not _is_unseen(element):
            continue
        if (
            element.tag == "body"
            or element.get("id") in opened
            or element.find(".//h1") is not None
        ):
            for name in ("hidden", "aria-hidden", "style"):
                element.attrib.pop(name, None)
        else:
            element.drop_tree()
    for element in _MARKS_ONLY(root):
        element.drop_tree()


def _is_unseen(element: Any) -> bool:
    is_hidden = element.get("hidden", "until-found") != "until-found"
    if is_hidden or element.get("aria-hidden") == "true":
        return True
    style = element.get("style")
    if not style:
        return False
    colours = {name.lower()[:10]: value.strip().lower() for name, value in _COLOUR.findall(style)}
    colour = colours.get("color")
    is_covered = colour is not None and colour in (colours.get("background"), "transparent")
    return is_covered or _UNSEEN.search(style) is not None

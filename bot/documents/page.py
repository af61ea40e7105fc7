"""A page of HTML as the Markdown of its main text, without what stands around it.

trafilatura finds the main text. It is given the page without what a reader does not see, and with
the posts of a thread as one article, of which it would take the first. It opens nothing: neither
an address nor a file to write.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import trafilatura
from lxml import etree  # type: ignore[import-untyped]
from trafilatura.settings import use_config
from trafilatura.xpaths import BODY_XPATH

from bot.documents.addresses import address_of
from bot.documents.decoding import decoded
from bot.documents.document import Document
from bot.documents.markup import all_words, declared_encoding, tree_of
from bot.documents.unread import NothingRead, WhyUnread
from bot.documents.visible import visible

_MAX_SIZE = 2 * 1024 * 1024
"""Characters that are looked at, beside scripts and the like."""

_CUT = "\n\n[Only the beginning of the page is here.]"
_SCRIPT = re.compile(r"<(script|style|svg)\b.*?</\1\s*>", re.S | re.I)
_MIN_MAIN = 500
"""Characters; of a page with a shorter main text, most of whose words are links, all is taken."""

_AROUND = "head nav footer form button select textarea"
_END_OF_LINE = re.compile(r"[ \t]+$", re.M)
_BLANK_LINE = re.compile(r"\n[ \t]*(?=\n)")
_KEPT = "␀␀"
_CODE = re.compile(r"(```.*?```|(?<![\\`])`[^`\n]+`)", re.S)
_ESCAPED = re.compile(r"(\\+)([*_`~\[\]<])")
_ESCAPED_START = re.compile(r"^(\s*(?:- |\d+\. )?\d{0,9})\\([-#>+.)])", re.M)
_NOWHERE = "https://nowhere.invalid/"
_TO_NOWHERE = re.compile(rf"\[((?:[^\[\]\n]|\[[^\[\]\n]*\]){{0,300}})\]\({_NOWHERE}\)")
_TEXT = etree.XPath("//body//text()[not(ancestor::nav or ancestor::footer or ancestor::select)]")
_IN_PROSE = (
    "//text()[(ancestor::p or ancestor::li or ancestor::td or ancestor::h3) and not(ancestor::a)]"
)
_PROSE, _PROSE_WITHIN = etree.XPath(_IN_PROSE), etree.XPath(f".{_IN_PROSE}")
_INLINE_TAGS = "a abbr b bdi br cite code em font i kbd mark q s small span strong sub sup u"
_INLINE = frozenset(_INLINE_TAGS.split())
_MIN_MOST = 0.7
_POST = re.compile(
    r"post[-_]?(?:body|text|content)|message-?(?:body|content)|entry-content|markdown-body", re.I
)
_BARE_POST = re.compile(r"(?:^|\s)post(?=\s|$)", re.I)
_COMMENT = re.compile(r"comment-?(?:body|content)", re.I)
_MIN_BELOW = 20
_LINKED = re.compile(r"␀\d+␀")


def document_of_page(data: bytes, address: str = "") -> Document:
    """``address``: links are relative to it. Raises ``NothingRead`` and ``NotText``."""
    text = decoded(data, declared_encoding(data))
    if len(text) > _MAX_SIZE:
        text = _SCRIPT.sub("", text)
    is_cut, text = len(text) > _MAX_SIZE, text[:_MAX_SIZE]
    if not text.strip():
        raise NothingRead(WhyUnread.EMPTY)
    root = tree_of(text)
    if root is None:
        raise NothingRead(WhyUnread.NO_TEXT)
    title = _title(root)
    _mend_links(root, address)
    addresses = _mend_headings(root)
    _flatten_code(root)
    _wrap_inline(root)
    _join_posts(root)
    _name_main_part(root)
    main = _main_text(root)
    if len(main) < _MIN_MAIN:
        main = _text_of_links(root) or main
    if not main:
        raise NothingRead(WhyUnread.NO_TEXT)
    named = {f"␀{number}␀": f"({each})" for number, each in enumerate(addresses)}
    main = _LINKED.sub(lambda found: named.get(found[0], ""), main)
    return Document(main + (_CUT if is_cut else ""), title)


def _title(root: Any) -> str:
    """As a browser shows it; else its first heading."""
    named = root.xpath("//head//title | //meta[@property='og:title']/@content | //h1")
    texts = (each if isinstance(each, str) else each.text_content() for each in named)
    return next(filter(None, (" ".join(visible(text).split()) for text in texts)), "")


def _mend_links(root: Any, address: str) -> None:
    """Those to elsewhere are absolute; the others lead nowhere."""
    base = address_of(next(iter(root.xpath("//base/@href")), ""), address) or address
    for link in root.iter("a"):
        target = link.get("href", "").strip()
        link.set("href", (address_of(target, base) if target[:1] != "#" else "") or _NOWHERE)


def _mend_headings(root: Any) -> list[str]:
    """A button in a heading opens what stands below it, and is its words.

    So is a link, where text stands below: trafilatura would take it for a menu. Returns where the
    links lead, for the numbers that stand in their places.
    """
    addresses: list[str] = []
    for button in root.xpath("//*[self::h1 or self::h2 or self::h3 or self::summary]/button"):
        button.drop_tag()
    for heading in root.iter("h1", "h2", "h3", "h4"):
        below = heading.getnext()
        below = heading.getparent().getnext() if below is None else below
        is_above = below is not None and len(below.text_content()) > _MIN_BELOW
        for link in heading.findall(".//a") if is_above else ():
            if link.get("href") != _NOWHERE:
                etree.SubElement(link, "span").text = f" ␀{len(addresses)}␀"
                addresses.append(link.get("href"))
            link.drop_tag()
    return addresses


def _flatten_code(root: Any) -> None:
    """As one text, with its blank lines, which trafilatura would leave out."""
    for block in root.iter("pre"):
        for end in block.iter("br"):
            end.text = "\n"
        text = _BLANK_LINE.sub(f"\n{_KEPT}", block.text_content().strip("\n"))
        tail = block.tail
        block.clear()
        block.tail = tail
        etree.SubElement(block, "code").text = text


def _join_posts(root: Any) -> None:
    """The posts of a thread, or the articles of a list, become sections of one article."""
    num_all = sum(map(len, _TEXT(root)))
    for group, min_share in _groups(root):
        num_words = sum(len(each.text_content()) for each in group)
        if len(group) > 1 and num_words > min_share * num_all:
            joined = etree.Element("article")
            for each in group:
                each.tag = "section"
                each.attrib.pop("class", None)
                joined.append(each)
            root.body.clear()
            root.body.append(joined)
            return


def _groups(root: Any) -> Iterator[tuple[list[Any], float]]:
    """What may be posts, and their least share of the words of a page; less are boxes in a text.

    Comments are, where they are nearly all that there is.
    """
    yield _alike(root, _POST), 0.3
    yield _alike(root, _BARE_POST), 0.3
    yield root.xpath("(//article)[1] | (//article)[1]/following-sibling::article"), 0.3
    yield _alike(root, _COMMENT), 0.6


def _alike(root: Any, pattern: re.Pattern[str]) -> list[Any]:
    """Those whose class has the same word as that of the first, and not within one another."""
    named = [(each, pattern.search(each.get("class", ""))) for each in root.iter("div", "section")]
    found = [(each, name[0].strip().lower()) for each, name in named if name]
    alike = {each: None for each, name in found if name == found[0][1]}
    return [each for each in alike if not any(above in alike for above in each.iterancestors())]


def _name_main_part(root: Any) -> None:
    """Where trafilatura knows none: the innermost that has most of the words."""
    if any(find(root) for find in BODY_XPATH):
        return
    num_words = _MIN_MOST * sum(map(len, _PROSE(root)))
    for part in reversed([*root.iter("div", "section", "td")]):
        if sum(map(len, _PROSE_WITHIN(part))) > num_words:
            part.tag = "main"
            return


def _wrap_inline(root: Any) -> None:
    """Words become paragraphs, alone or beside others; trafilatura would leave some of them out."""
    for part in [*root.iter("div", "section", "main", "article", "td", "dd")]:
        if any(child.tag not in _INLINE for child in part):
            _wrap_beside(part)
        elif part.tag == "div":
            num_links = sum(len(link.text_content()) for link in part.iter("a"))
            part.tag = "p" if len(part.text_content()) > num_links else "div"


def _wrap_beside(part: Any) -> None:
    run = None
    if part.text and part.text.strip():
        run = etree.Element("p")
        run.text, part.text = part.text, None
        part.insert(0, run)
    for child in [*part]:
        if child is run:
            continue
        if child.tag in _INLINE:
            if run is None:
                run = etree.Element("p")
                child.addprevious(run)
            run.append(child)
        elif child.tail and child.tail.strip():
            run = etree.Element("p")
            run.text, child.tail = child.tail, None
            child.addnext(run)
        else:
            run = None


def _main_text(root: Any) -> str:
    found = trafilatura.extract(
        root,
        output_format="markdown",
        include_links=True,
        include_tables=True,
        include_comments=False,
        config=_settings(),
    )
    text = _TO_NOWHERE.sub(r"\1", visible(found or ""))
    return _END_OF_LINE.sub("", _unescaped(text).replace(_KEPT, "")).strip()


def _text_of_links(root: Any) -> str:
    """All of a page that leads to others; empty for one that does not."""
    etree.strip_elements(root, *_AROUND.split(), with_tail=False)
    if root.find("body") is None:
        return ""
    links = [*root.body.iter("a")]
    if 2 * sum(len(link.text_content()) for link in links) < len(root.body.text_content()):
        return ""
    for link in links:
        if link.get("href") == _NOWHERE:
            del link.attrib["href"]
    return visible(all_words(root.body, is_marked=True)).replace(_KEPT, "").strip()


def _unescaped(text: str) -> str:
    """Outside of code: the characters themselves, which nobody takes for Markdown here."""
    parts = _CODE.split(text)
    for number in range(0, len(parts), 2):
        inline = _ESCAPED.sub(
            lambda found: found[1][len(found[1]) // 2 + 1 :] + found[2], parts[number]
        )
        parts[number] = _ESCAPED_START.sub(r"\1\2", inline)
    return "".join(parts)


def _settings() -> Any:
    """A short main text is one, too; trafilatura would take all words of the page instead."""
    settings = use_config()
    settings.set("DEFAULT", "MIN_EXTRACTED_SIZE", "40")
    return settings

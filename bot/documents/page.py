"""A page of HTML as the Markdown of its main text, without what stands around it.

trafilatura finds the main text. It is given the page without what a reader does not see, and with
the posts of a thread as one article, of which it would take the first. It opens nothing: neither
an address nor a file to write.
"""

from __future__ import annotations

import re
from typing import Any

import trafilatura
from lxml import etree  # type: ignore[import-untyped]
from trafilatura.settings import use_config

from bot.documents.addresses import address_of
from bot.documents.decoding import decoded
from bot.documents.document import Document
from bot.documents.markup import all_words, declared_encoding, tree_of
from bot.documents.unread import NothingRead, WhyUnread
from bot.documents.visible import visible

_MAX_SIZE = 4 * 1024 * 1024
"""Characters that are looked at; main texts are at the beginning."""

_MIN_MAIN = 500
"""Characters; of a page with a shorter main text, most of whose words are links, all is taken."""

_AROUND = "head nav footer form button select textarea"
_BLANK_LINE = re.compile(r"\n[ \t]*(?=\n)")
_KEPT = "␀␀"
_CODE = re.compile(r"(```.*?```|(?<![\\`])`[^`\n]+`)", re.S)
_ESCAPED = re.compile(r"(\\+)([*_`~\[\]<])")
_ESCAPED_START = re.compile(r"^(\s*(?:- |\d+\. )?\d{0,9})\\([-#>+.)])", re.M)
_NOWHERE = "https://nowhere.invalid/"
_TO_NOWHERE = re.compile(rf"\[((?:[^\[\]\n]|\[[^\[\]\n]*\]){{0,300}})\]\({_NOWHERE}\)")
_MAIN_PARTS = "inhalt hauptinhalt contenu contenido conteudo contenuto innehall inhoud tresc obsah"
_POST = re.compile(r"post[-_]?(?:body|text|content)|message-?(?:body|content)|entry-content", re.I)


def document_of_page(data: bytes, address: str = "") -> Document:
    """``address``: links are relative to it. Raises ``NothingRead`` and ``NotText``."""
    text = decoded(data, declared_encoding(data))[:_MAX_SIZE]
    if not text.strip():
        raise NothingRead(WhyUnread.EMPTY)
    root = tree_of(text)
    if root is None:
        raise NothingRead(WhyUnread.NO_TEXT)
    title = _title(root)
    _mend_links(root, address)
    _mend_headings(root)
    _flatten_code(root)
    _join_posts(root)
    _name_main_part(root)
    main = _main_text(root)
    if len(main) < _MIN_MAIN:
        main = _text_of_links(root) or main
    if not main:
        raise NothingRead(WhyUnread.NO_TEXT)
    return Document(main, title)


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


def _mend_headings(root: Any) -> None:
    """A button in a heading opens what stands below it, and is its words."""
    for button in root.xpath(
        "//button[parent::h1|parent::h2|parent::h3|parent::h4|parent::summary]"
    ):
        button.drop_tag()


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
    posts = [each for each in root.iter("div", "section") if _POST.search(each.get("class", ""))]
    posts = [each for each in posts if each.get("class") == posts[0].get("class")]
    articles = root.xpath("(//article)[1] | (//article)[1]/following-sibling::article")
    group = posts if len(posts) > 1 else articles if len(articles) > 1 else []
    if group:
        joined = etree.Element("article")
        for each in group:
            each.tag = "section"
            each.attrib.pop("class", None)
            joined.append(each)
        root.body.clear()
        root.body.append(joined)


def _name_main_part(root: Any) -> None:
    """As in English, where the page is of another language."""
    if root.xpath("//article | //main | //*[@id='content'] | //*[@role='main']"):
        return
    names = frozenset(_MAIN_PARTS.split())
    for part in root.iter("div", "section", "td"):
        if names & {part.get("id", "").lower(), part.get("class", "").lower()}:
            part.tag = "main"
            return


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
    return _unescaped(text).replace(_KEPT, "").strip()


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

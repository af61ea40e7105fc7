"""A page of HTML as the Markdown of its main text, without what stands around it.

trafilatura finds the main text. It is given the page without what a reader does not see, and with
the posts of a thread as one article, of which it would take the first. It opens nothing: neither
an address nor a file to write.
"""

from __future__ import annotations

import re
from typing import Any

import trafilatura
from lxml import etree, html  # type: ignore[import-untyped]
from trafilatura.settings import use_config

from bot.documents.addresses import address_of
from bot.documents.decoding import decoded
from bot.documents.document import Document
from bot.documents.unread import NothingRead, WhyUnread
from bot.documents.visible import visible

_MAX_SIZE = 4 * 1024 * 1024
"""Characters that are looked at; main texts are at the beginning."""

_DECLARED = re.compile(rb"""<(?:meta|\?xml)[^>]*?(?:charset|encoding)\s*=\s*["']?([\w:-]+)""", re.I)
_UNSEEN_TAGS = ("script", "style", "template", "noscript", "iframe", "object", "svg", "canvas")
_UNSEEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|(?:font-size|opacity)\s*:\s*0(?:\.0+)?(?![.\d])"
    r"|(?:left|top|text-indent)\s*:\s*-\d{3,}",
    re.I,
)
_COLOUR = re.compile(r"(?:^|;)\s*(color|background(?:-color)?)\s*:\s*([^;]+)", re.I)
_BLANK_LINE = re.compile(r"\n[ \t]*(?=\n)")
_KEPT = "␀␀"
_CODE = re.compile(r"(```.*?```|(?<![\\`])`[^`\n]+`)", re.S)
_ESCAPED = re.compile(r"(\\+)([*_`~\[\]<])")
_ESCAPED_START = re.compile(r"^(\s*(?:- |\d+\. )?\d{0,9})\\([-#>+.)])", re.M)
_NOWHERE = "https://nowhere.invalid/"
_TO_NOWHERE = re.compile(rf"\[((?:[^\[\]\n]|\[[^\[\]\n]*\]){{0,300}})\]\({_NOWHERE}\)")
_MARKS_ONLY = etree.XPath(
    "//a[contains(@class, 'headerlink') or contains(@class, 'hash-link')]"
    "|//*[contains(@class, 'mw-editsection')]"
)
_MAIN_PARTS = "inhalt hauptinhalt contenu contenido conteudo contenuto innehall inhoud tresc obsah"
_POST = re.compile(r"post[-_]?(?:body|text|content)|message-?(?:body|content)|entry-content", re.I)


def document_of_page(data: bytes, address: str = "") -> Document:
    """``address``: links are relative to it. Raises ``NothingRead`` and ``NotText``."""
    text = decoded(data, _declared(data))[:_MAX_SIZE]
    if not text.strip():
        raise NothingRead(WhyUnread.EMPTY)
    root = html.document_fromstring(text.encode("utf-8", "replace"), parser=_parser())
    title = _title(root)
    _remove_unseen(root)
    _mend_links(root, address)
    _mend_headings(root)
    _flatten_code(root)
    _join_posts(root)
    _name_main_part(root)
    main = _main_text(root)
    if not main:
        raise NothingRead(WhyUnread.NO_TEXT)
    return Document(main, title)


def _declared(data: bytes) -> str:
    found = _DECLARED.search(data[:4096])
    return found[1].decode("ascii", "ignore") if found else ""


def _parser() -> Any:
    return html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, huge_tree=True)


def _title(root: Any) -> str:
    """As a browser shows it; else its first heading."""
    named = root.xpath("//head//title | //meta[@property='og:title']/@content | //h1")
    texts = (each if isinstance(each, str) else each.text_content() for each in named)
    return next(filter(None, (" ".join(visible(text).split()) for text in texts)), "")


def _remove_unseen(root: Any) -> None:
    """Also marks beside headings. What a link or a button opens is seen, and so is a heading."""
    etree.strip_elements(root, *_UNSEEN_TAGS, with_tail=False)
    opened = set(
        " ".join(root.xpath("//@aria-controls | //@data-target | //@data-bs-target")).split()
    )
    opened |= {each.lstrip("#") for each in opened} | {
        each[1:] for each in root.xpath("//a/@href[starts-with(., '#')]")
    }
    for element in [*root.iterdescendants()]:
        if _is_unseen(element):
            is_seen = element.get("id") in opened or element.find(".//h1") is not None
            if is_seen or element.tag == "body":
                for name in ("hidden", "aria-hidden", "style"):
                    element.attrib.pop(name, None)
            else:
                element.drop_tree()
    for element in _MARKS_ONLY(root):
        element.drop_tree()


def _is_unseen(element: Any) -> bool:
    if (
        element.get("hidden", "until-found") != "until-found"
        or element.get("aria-hidden") == "true"
    ):
        return True
    style = element.get("style")
    if not style:
        return False
    colours = {name.lower()[:10]: value.strip().lower() for name, value in _COLOUR.findall(style)}
    colour = colours.get("color")
    is_covered = colour is not None and colour in (colours.get("background"), "transparent")
    return is_covered or _UNSEEN.search(style) is not None


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

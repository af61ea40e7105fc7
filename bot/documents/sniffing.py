"""Which kind of document bytes are: what they begin with decides, whatever they are called.

The media type, which whoever sent them declared, is asked only where the bytes leave it open:
text that begins with a tag may be a page, or a note that has some HTML in it.
"""

from __future__ import annotations

import codecs
import re

from bot.documents.document import DocumentKind

_NUM_JUDGED = 4096
"""Bytes of the beginning by which a document is judged."""

_PACKAGE = b"PK\x03\x04"
_RICH_TEXT = "{\\rtf"
_BINARY = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_PREAMBLE = re.compile(r"(?:\s+|<\?xml[^>]*>|<!--.*?-->)*", re.S)
_DOCTYPE = re.compile(r"<!doctype\s+([\w:]+)[^>\[]*(?:\[[^\]]*\])?\s*>?", re.I)
_TAG = re.compile(r"<([a-z][\w:.-]*)(?=[\s/>])", re.I)
_PAGE_TAGS = frozenset(["html", "head", "body", "title", "meta"])
_FEED_TAGS = frozenset(["rss", "feed", "atom:feed"])
_RSS_IN_RDF = re.compile(r"purl\.org/rss|netscape\.com/rdf", re.I)
_MARKED_UP = """
    a article aside b blockquote br center dd div dl dt em font footer form h1 h2 h3 h4 h5 h6 header
    hr i iframe img li link main nav ol p pre script section small span strong style table tbody td
    th tr tt ul
"""


def kind_of_bytes(data: bytes, media_type: str = "") -> DocumentKind | None:
    """None: nothing that is read here. What is empty is an empty text.

    ``media_type``: with its parameters or without, in any case of letters.
    """
    if data[:_NUM_JUDGED].lstrip().startswith(b"%PDF-"):
        return DocumentKind.PDF
    if data.startswith(_PACKAGE):
        return DocumentKind.DOCX if b"word/" in data else None
    head = _head(data)
    if _BINARY.search(head) or head.startswith(_RICH_TEXT):
        return None
    return _kind_of_text(head, media_type.partition(";")[0].strip().lower())


def _head(data: bytes) -> str:
    """The beginning, with ASCII characters as they are; what others are does not matter."""
    beginning = data[:_NUM_JUDGED]
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return beginning[len(mark) :].decode(encoding, "ignore")
    for encoding, zeros in (("utf-16-le", beginning[1::2]), ("utf-16-be", beginning[::2])):
        if len(beginning) > 3 and zeros.count(0) > len(zeros) * 0.7:
            return beginning.decode(encoding, "ignore")
    return beginning.decode("latin-1")


def _kind_of_text(head: str, media_type: str) -> DocumentKind:
    start = _after(_PREAMBLE, head, 0)
    doctype = _DOCTYPE.match(head, start)
    if doctype and doctype[1].lower() == "html":
        return DocumentKind.HTML
    start = _after(_PREAMBLE, head, doctype.end()) if doctype else start
    tag = first[1].lower() if (first := _TAG.match(head, start)) else ""
    if tag in _PAGE_TAGS:
        return DocumentKind.HTML
    if tag in _FEED_TAGS or (tag == "rdf:rdf" and _RSS_IN_RDF.search(head)):
        return DocumentKind.FEED
    marked_up = _MARKED_UP.split()
    is_called_page = "html" in media_type
    if is_called_page and any(each.lower() in marked_up for each in _TAG.findall(head)):
        return DocumentKind.HTML
    is_called_text = media_type.startswith("text/") and not is_called_page
    return DocumentKind.HTML if tag in marked_up and not is_called_text else DocumentKind.TEXT


def _after(pattern: re.Pattern[str], text: str, start: int) -> int:
    found = pattern.match(text, start)
    return found.end() if found else start

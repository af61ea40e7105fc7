"""What bytes begin with decides what they are read as; what they are called hardly matters."""

from __future__ import annotations

import gzip

import pytest

from bot.documents.document import DocumentKind
from bot.documents.sniffing import kind_of_bytes
from tests.bot.documents.documents import document, paragraph, zipped

PAGE = "<!DOCTYPE html><html><head><title>Grüße</title></head><body><p>Hello.</p></body></html>"
RSS = '<?xml version="1.0"?><rss version="2.0"><channel><title>News</title></channel></rss>'
ATOM = '<feed xmlns="http://www.w3.org/2005/Atom"><title>News</title></feed>'
ENTITIES = '<!DOCTYPE rss [<!ENTITY x "y">]>'
RDF = '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="{}"></rdf:RDF>'


@pytest.mark.parametrize(
    "data",
    [
        PAGE.encode(),
        PAGE.encode("utf-8-sig"),
        PAGE.encode("utf-16"),
        PAGE.encode("utf-16-le"),
        PAGE.encode("utf-16-be"),
        PAGE.encode("utf-32"),
        PAGE.encode("latin-1"),
        b"\n\n<!-- made by hand -->\n<HTML><BODY>Hello",
        b'<?xml version="1.0"?>\n<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" '
        b'"http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd"><html xmlns="x"/>',
        b"<title>A page of 1995</title><h1>Hello</h1>",
        f"<!-- an example: {RSS} -->{PAGE}".encode(),
    ],
)
@pytest.mark.parametrize("media_type", ["", "text/html", "text/plain", "image/png"])
def test_a_page_is_a_page(data: bytes, media_type: str) -> None:
    assert kind_of_bytes(data, media_type) is DocumentKind.HTML


@pytest.mark.parametrize(
    "data",
    [
        RSS,
        ATOM,
        f"<?xml-stylesheet href='x'?>\n<!-- ours -->{ENTITIES}\n{RSS[21:]}",
        RDF.format("http://purl.org/rss/1.0/"),
        RDF.format("http://my.netscape.com/rdf/simple/0.9/"),
    ],
)
@pytest.mark.parametrize("media_type", ["", "text/html; charset=utf-8", "application/octet-stream"])
def test_a_feed_is_a_feed(data: str, media_type: str) -> None:
    assert kind_of_bytes(data.encode(), media_type) is DocumentKind.FEED
    assert kind_of_bytes(data.encode("utf-8-sig"), media_type) is DocumentKind.FEED
    assert kind_of_bytes(data.encode("utf-16"), media_type) is DocumentKind.FEED


@pytest.mark.parametrize("media_type", ["", "text/html", "application/pdf"])
def test_files_of_other_kinds_are_known_by_their_bytes(media_type: str) -> None:
    word = document(paragraph("Hello"))
    assert kind_of_bytes(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", media_type) is DocumentKind.PDF
    assert kind_of_bytes(word, media_type) is DocumentKind.DOCX
    assert kind_of_bytes(b"", media_type) is DocumentKind.TEXT
    assert kind_of_bytes("Grüße".encode(), media_type) is DocumentKind.TEXT
    assert kind_of_bytes('{"html": "<p>"}'.encode("utf-16"), "") is DocumentKind.TEXT
    assert kind_of_bytes(b"<?php echo '<html>'; ?>", "") is DocumentKind.TEXT
    assert kind_of_bytes(b"<svg xmlns='x'><text>Hi</text></svg>", "") is DocumentKind.TEXT
    assert kind_of_bytes(RDF.format("http://xmlns.com/foaf/").encode(), "") is DocumentKind.TEXT
    assert kind_of_bytes(b"%PDF- is how a PDF begins"[1:], media_type) is DocumentKind.TEXT


@pytest.mark.parametrize(
    "data",
    [
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
        b"\xff\xd8\xff\xe0\x00\x10JFIF\x00",
        b"GIF89a\x01\x00\x01\x00",
        gzip.compress(PAGE.encode(), mtime=0),
        b"\x7fELF\x02\x01\x01\x00",
        zipped({"mimetype": "application/vnd.oasis.opendocument.text", "content.xml": "<a/>"}),
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(64),
        rb"{\rtf1\ansi Hello}",
        PAGE.encode() + b"\x00\x01",
    ],
)
@pytest.mark.parametrize("media_type", ["", "text/html", "text/plain", "application/pdf"])
def test_what_cannot_be_read_is_refused_whatever_it_is_called(data: bytes, media_type: str) -> None:
    assert kind_of_bytes(data, media_type) is None


@pytest.mark.parametrize(
    ("media_type", "kind"),
    [
        ("", DocumentKind.HTML),
        ("text/html", DocumentKind.HTML),
        ("Application/XHTML+xml; charset=utf-8", DocumentKind.HTML),
        ("text/plain", DocumentKind.TEXT),
        ("text/markdown", DocumentKind.TEXT),
    ],
)
def test_text_with_a_tag_at_its_beginning_is_what_it_is_called(
    media_type: str, kind: DocumentKind
) -> None:
    readme = b'<div align="center">\n\n# Parley\n\n</div>\n\nA bot.'
    assert kind_of_bytes(readme, media_type) is kind
    later = b"Hello, <b>world</b>"
    is_page = "html" in media_type.lower()
    assert kind_of_bytes(later, media_type) is (DocumentKind.HTML if is_page else DocumentKind.TEXT)


def test_a_page_called_by_its_first_bytes_may_have_any_size() -> None:
    assert kind_of_bytes(PAGE.encode() * 10_000, "") is DocumentKind.HTML

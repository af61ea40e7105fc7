"""A feed reaches the model as its newest entries, whatever its format and however broken it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.documents.document import Document, DocumentKind
from bot.documents.feed import document_of_feed
from bot.documents.reader import DocumentReader, Unreadable
from bot.documents.unread import WhyUnread

ADDRESS = "https://school.example/news/feed.xml"
CONTENT = "http://purl.org/rss/1.0/modules/content/"


def rss(items: str, *, head: str = "", title: str = "News of the school") -> bytes:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>{head}<rss version="2.0" xmlns:content="{CONTENT}">'
        f"<channel><title>{title}</title><link>https://school.example/</link>"
        f"<description>What happens here.</description>{items}</channel></rss>"
    ).encode()


def item(title: str, date: str = "", *, link: str = "", summary: str = "Words.") -> str:
    dated = f"<pubDate>{date}</pubDate>" if date else ""
    linked = f"<link>{link}</link>" if link else ""
    return f"<item><title>{title}</title>{linked}{dated}<description>{summary}</description></item>"


FESTIVAL = item(
    "Summer festival",
    "Fri, 17 Jul 2026 00:30:00 +0200",
    link="/festival?a=1&amp;b=2",
    summary="&lt;p&gt;It begins at &lt;b&gt;15 o'clock&lt;/b&gt;.&lt;/p&gt;"
    "&lt;script&gt;steal()&lt;/script&gt;&lt;p&gt;Bring cake &amp;amp; cups.&lt;/p&gt;",
)
LICE = item("Lice in 3b", "Sat, 18 Jul 2026 09:00:00 GMT", link="https://school.example/lice")


async def read(data: bytes, max_characters: int = 10_000) -> Document:
    return await DocumentReader().read(data, DocumentKind.FEED, max_characters, ADDRESS)


async def refused(data: bytes) -> WhyUnread | None:
    with pytest.raises(Unreadable) as refusal:
        await read(data)
    return refusal.value.why


async def test_the_newest_entry_comes_first_with_its_date_and_its_address() -> None:
    found = await read(rss(FESTIVAL + LICE))
    assert found.title == "News of the school"
    assert found.text == (
        "# News of the school\n\nWhat happens here.\n\n"
        "## Lice in 3b\n\n2026-07-18 · https://school.example/lice\n\nWords.\n\n"
        "## Summer festival\n\n2026-07-17 · https://school.example/festival?a=1&b=2\n\n"
        "It begins at 15 o'clock.\n\nBring cake & cups."
    )


ATOM = """<?xml version="1.0" encoding="utf-8"?>
<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="de"><title type="text">Größe &lt; Maß</title>
<link rel="self" href="https://a.example/feed"/><updated>2026-03-02T00:00:00Z</updated>
<entry><title type="html">Neu: &lt;em&gt;Öffnung&lt;/em&gt;</title><id>urn:1</id>
<link rel="alternate" href="https://a.example/1"/><updated>2026-03-01T23:30:00-05:00</updated>
<content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><p>Ab Montag.</p><ul><li>Brot</li>
<li>Kuchen</li></ul></div></content></entry></feed>"""
RSS_1 = """<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
xmlns="http://purl.org/rss/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/">
<channel rdf:about="https://r.example/"><title>Old news</title><link>https://r.example/</link>
</channel><item rdf:about="https://r.example/1"><title>One</title><link>https://r.example/1</link>
<dc:date>2003-05-06</dc:date></item></rdf:RDF>"""
RSS_090 = """<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
xmlns="http://my.netscape.com/rdf/simple/0.9/"><channel><title>Older news</title></channel>
<item><title>Two</title><link>https://o.example/2</link></item></rdf:RDF>"""
RSS_091 = """<!DOCTYPE rss PUBLIC "-//Netscape Communications//DTD RSS 0.91//EN"
"http://my.netscape.com/publish/formats/rss-0.91.dtd"><rss version="0.91"><channel>
<title>Caf&eacute;</title><item><title>Three</title><link>https://n.example/3</link></item>
</channel></rss>"""


@pytest.mark.parametrize(
    ("feed", "title", "entry"),
    [
        (
            ATOM,
            "Größe < Maß",
            "## Neu: Öffnung\n\n2026-03-01 · https://a.example/1\n\nAb Montag.\n\nBrot\nKuchen",
        ),
        (RSS_1, "Old news", "## One\n\n2003-05-06 · https://r.example/1"),
        (RSS_090, "Older news", "## Two\n\nhttps://o.example/2"),
        (RSS_091, "Café", "## Three\n\nhttps://n.example/3"),
    ],
)
def test_every_format_of_feeds_is_read(feed: str, title: str, entry: str) -> None:
    found = document_of_feed(feed.encode())
    assert found.title == title
    assert found.text == f"# {title}\n\n{entry}"


@pytest.mark.parametrize(
    "data",
    [
        rss(LICE)[: -len("</item></channel></rss>")],
        rss(LICE).replace(b"Words.", b"Words & <b>more</i>"),
        rss(LICE).replace(b"</title>", b"", 1),
        b"\n\n" + rss(LICE),
        rss(LICE).replace(b"Words.", b"Words.\x0b\x01"),
    ],
)
def test_a_broken_feed_gives_what_it_has(data: bytes) -> None:
    text = document_of_feed(data).text
    assert "## Lice in 3b" in text
    assert "Words" in text
    assert "\x01" not in text


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-8-sig"])
def test_a_feed_is_decoded_whatever_it_says_of_its_encoding(encoding: str) -> None:
    feed = rss(item("Prüfung für Größere – Öffnungszeiten für Schüler")).decode()
    assert "Größere – Öffnungszeiten" in document_of_feed(feed.encode(encoding)).text


def test_of_many_entries_the_newest_are_shown_wherever_they_stand() -> None:
    items = [item(f"Entry {n}", f"{n % 28 + 1} Jan {1000 + n} 10:00 GMT") for n in range(1000)]
    for order in (items, items[::-1]):
        text = document_of_feed(rss("".join(order))).text
        assert text.count("## ") == 20
        assert text.index("## Entry 999\n") < text.index("## Entry 998\n")


def test_an_entry_that_comes_twice_is_shown_once_and_a_long_one_is_cut() -> None:
    text = document_of_feed(rss(LICE + LICE + item("Long", summary="word " * 1000))).text
    assert text.count("## Lice in 3b") == 1
    assert text.endswith("word word …")
    assert len(text) < 1500


def test_entries_may_lack_whatever_an_entry_has() -> None:
    items = "<item></item><item><title>Only a title</title></item>" + item("", summary="Only words")
    text = document_of_feed(rss(items)).text
    assert "## Only a title" in text
    assert "## (no title)\n\nOnly words" in text
    assert "[The feed has no entries.]" in document_of_feed(rss("")).text


@pytest.mark.parametrize(
    "link", ["", "javascript:alert(1)", "file:///etc/passwd", "http://[broken"]
)
def test_an_entry_leads_to_pages_only(link: str) -> None:
    text = document_of_feed(rss(item("One", link=link)), ADDRESS).text
    assert text.endswith("## One\n\nWords.")


def test_an_entry_cannot_add_headings_or_hidden_characters() -> None:
    text = document_of_feed(rss(item("One\n# Two\u202e\u200b", summary="a\U000e0041b"))).text
    assert text.endswith("## One # Two\n\nab")


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "ha"}">' for n in range(10))
LONG = f'<!ENTITY long "{"x" * 100_000}">'
OUTSIDE = '<!ENTITY file SYSTEM "file:///etc/hostname"><!ENTITY page SYSTEM "http://127.0.0.1:9/">'


@pytest.mark.parametrize(
    ("entities", "summary"),
    [
        ('<!ENTITY laugh "haha">', "&laugh;"),
        (LAUGHS, "&l9;"),
        (LONG, "&long;" * 20_000),
        (OUTSIDE, "&file;&page;"),
        ('<!ENTITY % dtd SYSTEM "http://127.0.0.1:9/x.dtd"> %dtd;', "&x;"),
    ],
)
async def test_no_entity_is_resolved(entities: str, summary: str) -> None:
    feed = rss(
        LICE + item("Bomb", summary=summary), head=f"<!-- News --><!DOCTYPE rss [{entities}]>"
    )
    text = (await read(feed)).text
    assert "## Lice in 3b" in text
    assert "haha" not in text
    assert "xxx" not in text


@pytest.mark.parametrize(
    "data", [b"http://127.0.0.1:9/feed", b"feed:https://a.example/", b"a < b", b"<html>No</html>"]
)
async def test_what_is_no_feed_is_refused(data: bytes) -> None:
    assert await refused(data) is None


async def test_the_name_of_a_file_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "secret.xml"
    path.write_bytes(rss(LICE))
    assert await refused(str(path).encode()) is None


async def test_an_empty_feed_is_said_to_be_empty() -> None:
    assert await refused(b" \n") is WhyUnread.EMPTY

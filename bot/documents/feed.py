"""A feed, RSS or Atom, as Markdown: its newest entries, each with its date, address and summary.

feedparser is given bytes as an open file, for it takes a string that looks like an address, or
like a path, for what it names. Declarations of entities are left out before.
"""

from __future__ import annotations

import io
import re
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import feedparser  # type: ignore[import-untyped]

from bot.documents.addresses import address_of
from bot.documents.decoding import decoded
from bot.documents.document import Document
from bot.documents.markup import declared_encoding, words_of_markup
from bot.documents.unread import NothingRead, WhyUnread
from bot.documents.visible import visible

_MAX_ENTRIES = 20
_MAX_SUMMARY = 1000
"""Characters of one entry."""

_MAX_PARSED = 300
"""Entries that are looked at: half of them at the beginning of the feed, half at its end."""

_XML_DECLARATION = re.compile(r"\s*<\?xml[^>]*\?>")
_ENTITY = re.compile(r"""<!ENTITY(?:[^>"']|"[^"]*"|'[^']*')*>""", re.I)
_END_OF_ENTRY = re.compile(r"</(?:\w+:)?(?:item|entry)\s*>", re.I)
_XML = "application/xml; charset=utf-8"


class NotAFeed(Exception):
    """feedparser knows no feed in it."""


def document_of_feed(data: bytes, address: str = "") -> Document:
    """``address``: links are relative to it. Raises ``NothingRead``, ``NotText``, ``NotAFeed``."""
    text = decoded(data, declared_encoding(data))
    if not text.strip():
        raise NothingRead(WhyUnread.EMPTY)
    found = _parsed(text, address)
    if not found.version and not found.entries:
        raise NotAFeed
    title = _line(found.feed, "title")
    heading = f"# {title}" if title else ""
    entries = [_entry(each, address) for each in _newest(found.entries)]
    shown = [heading, _paragraph(found.feed, "subtitle"), *filter(None, entries)]
    if not any(entries):
        shown.append("[The feed has no entries.]")
    return Document("\n\n".join(filter(None, shown)), title)


def _parsed(text: str, address: str) -> Any:
    text = _ENTITY.sub("", _XML_DECLARATION.sub("", text.lstrip("\ufeff"), count=1))
    ends = [each.end() for each in _END_OF_ENTRY.finditer(text)]
    if len(ends) > _MAX_PARSED:
        half = _MAX_PARSED // 2
        text = text[: ends[half - 1]] + text[ends[-half - 1] :]
    data = io.BytesIO(text.encode("utf-8", "replace"))
    return feedparser.parse(
        data,
        response_headers={"content-type": _XML, "content-location": address},
        resolve_relative_uris=False,
        sanitize_html=False,
    )


def _newest(entries: list[Any]) -> list[Any]:
    """Newest first; those without a date after them, in their order. Each once."""
    dated = sorted(entries, key=lambda each: tuple(_moment(each) or ()), reverse=True)
    once: dict[Any, Any] = {}
    for entry in dated:
        once.setdefault(entry.get("id") or entry.get("link") or id(entry), entry)
    return [*once.values()][:_MAX_ENTRIES]


def _moment(entry: Any) -> Any:
    return entry.get("published_parsed") or entry.get("updated_parsed")


def _date(entry: Any) -> str:
    """In the time zone of the feed, where it names one."""
    written = (entry.get("published") or entry.get("updated") or "").strip()
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            return read(written).date().isoformat()
        except ValueError:
            continue
    moment = _moment(entry)
    return f"{moment.tm_year:04}-{moment.tm_mon:02}-{moment.tm_mday:02}" if moment else ""


def _entry(entry: Any, address: str) -> str:
    """Empty for one that says nothing."""
    title, summary = _line(entry, "title"), _summary(entry)
    if not title and not summary:
        return ""
    link = address_of(entry.get("link", ""), address)
    link = link if link.startswith("http") else ""
    about = " · ".join(filter(None, (_date(entry), link)))
    return "\n\n".join(filter(None, (f"## {title or '(no title)'}", about, summary)))


def _summary(entry: Any) -> str:
    text = max(
        (_paragraph(each, "value") for each in entry.get("content", ())), key=len, default=""
    )
    text = _paragraph(entry, "summary") or text
    return text if len(text) <= _MAX_SUMMARY else f"{text[:_MAX_SUMMARY].rsplit(None, 1)[0]} …"


def _line(values: Any, name: str) -> str:
    return " ".join(_paragraph(values, name).split())


def _paragraph(values: Any, name: str) -> str:
    """Of HTML, the words."""
    value = values.get(name) or ""
    kind = (values.get(f"{name}_detail") or values).get("type", "text/html")
    return visible(words_of_markup(value) if kind != "text/plain" else value).strip()

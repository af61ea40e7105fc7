"""A PDF as the text of its pages."""

from __future__ import annotations

import io
from collections.abc import Iterator

from pypdf import PdfReader

from bot.documents.decoding import is_readable
from bot.documents.unread import NothingRead, WhyUnread

_MAX_PAGES = 200


def text_of_pdf(data: bytes, max_characters: int) -> str:
    """Raises ``NothingRead``, and what pypdf raises."""
    if not data.strip():
        raise NothingRead(WhyUnread.EMPTY)
    reader = PdfReader(io.BytesIO(data))
    if reader.is_encrypted and not reader.decrypt(""):
        raise NothingRead(WhyUnread.LOCKED)
    text = ""
    for page in _pages(reader):
        text += f"{page}\n\n"
        if len(text) > max_characters:
            break
    if not text.strip():
        has_pictures = any(page.images.keys() for page in reader.pages[:_MAX_PAGES])
        raise NothingRead(WhyUnread.ONLY_PICTURES if has_pictures else WhyUnread.NO_TEXT)
    if not is_readable(text):
        raise NothingRead(WhyUnread.NO_TEXT)
    is_long = len(reader.pages) > _MAX_PAGES
    return text.strip() + (f"\n\n[Only the first {_MAX_PAGES} pages are here.]" if is_long else "")


def _pages(reader: PdfReader) -> Iterator[str]:
    for page in reader.pages[:_MAX_PAGES]:
        yield page.extract_text().strip()

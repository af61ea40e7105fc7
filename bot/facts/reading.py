"""The text of a file of a fact base; formats of others are parsed in bounded processes."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from bot.documents.document import DocumentKind
from bot.documents.reader import DocumentReader, Unreadable
from bot.documents.unread import WhyUnread

_MAX_CHARACTERS = 8_000_000
_CONTROL = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_NO_TEXT = "has no text"
_WHY = {
    WhyUnread.EMPTY: _NO_TEXT,
    WhyUnread.LOCKED: "is locked with a password",
    WhyUnread.ONLY_PICTURES: "has only pictures, whose text would have to be recognised first",
    WhyUnread.NO_TEXT: _NO_TEXT,
    WhyUnread.OTHER_FORMAT: "is of another format than its name says",
    WhyUnread.TOO_MUCH: "is too much to read",
}


class FactFileUnread(Exception):
    """Why a file gives no text, as the rest of a sentence that begins with its name."""


async def text_of(path: Path, kind: DocumentKind, reader: DocumentReader) -> str:
    """Raises ``FactFileUnread``."""
    try:
        data = await asyncio.to_thread(path.read_bytes)
    except OSError as error:
        raise FactFileUnread(f"cannot be read ({error.strerror})") from error
    if kind is DocumentKind.TEXT:
        return _plain(data)
    try:
        return (await reader.read(data, kind, _MAX_CHARACTERS)).text
    except Unreadable as error:
        why = _WHY.get(error.why, _NO_TEXT) if error.why else _WHY[WhyUnread.OTHER_FORMAT]
        raise FactFileUnread(why) from error


def _plain(data: bytes) -> str:
    """Text files are many, and most are in UTF-8; what guesses encodings is loaded for others."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if _CONTROL.search(text):
        from bot.documents.decoding import NotText, decoded

        try:
            text = decoded(data)
        except NotText:
            raise FactFileUnread("is no text in an encoding that is known") from None
    if not text.strip():
        raise FactFileUnread(_NO_TEXT)
    return text.replace("\r\n", "\n").replace("\r", "\n")

"""What is attached to a message: files to fetch, cards to read, and what cannot be opened.

Every message also has its own text attached, as ``text/html``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from bot.adapter_support.payloads import Payload, object_in, table_of, tables_of, text_of
from bot.adapter_support.quoting import quoted
from bot.types import Attachment

_DOWNLOAD = "application/vnd.microsoft.teams.file.download.info"
_MEDIA_TYPES = {
    "pdf": "application/pdf",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "txt": "text/plain",
    "md": "text/markdown",
}
_REFERENCES = ("messageReference", "forwardedMessageReference")

_CARD = re.compile(r"application/vnd\.microsoft\.(?:teams\.)?card\.")
_TEXTS = frozenset({"title", "subtitle", "summary", "text", "activityTitle", "activitySubtitle"})
_FACTS = ("title", "value"), ("name", "value")
_CONTROLS = frozenset({"actions", "buttons", "potentialAction", "selectAction", "tap", "fallback"})
_DATE = re.compile(r"\{\{(?:DATE|TIME)\(\s*([^,(){}]+?)\s*(?:,[^(){}]*)?\)\}\}")
_MAX_DEPTH = 20


def read_files(activity: Payload) -> tuple[Attachment, ...]:
    found = [_file(each) for each in tables_of(activity, "attachments")]
    return tuple(each for each in found if each is not None)


def quoted_attachments(activity: Payload) -> list[str]:
    """Cards with text; and the names of what a bot is not given, so that nobody guesses at it."""
    found: list[str] = []
    for each in tables_of(activity, "attachments"):
        if text := _card_text(each):
            found.append(quoted("Card of the message", text))
        elif (name := text_of(each, "name")) and not _is_read(each):
            found.append(quoted("Attachment that Parley cannot open", name))
    return found


def content_of(attachment: Payload) -> Payload:
    """Teams writes some as an object, and some as its JSON in a text."""
    content = attachment.get("content")
    return object_in(content) if isinstance(content, str) else table_of(attachment, "content")


def _file(attachment: Payload) -> Attachment | None:
    kind, content = text_of(attachment, "contentType"), table_of(attachment, "content")
    if kind == _DOWNLOAD and (url := text_of(content, "downloadUrl")):
        suffix = text_of(content, "fileType").lower()
        media_type = _MEDIA_TYPES.get(suffix, "application/octet-stream")
        return Attachment(text_of(attachment, "name") or "file", media_type, 0, url)
    if kind.startswith("image/") and (url := text_of(attachment, "contentUrl")):
        return Attachment(text_of(attachment, "name") or "image", kind, 0, url)
    return None


def _is_read(attachment: Payload) -> bool:
    kind = text_of(attachment, "contentType")
    return kind == "text/html" or kind in _REFERENCES or _file(attachment) is not None


def _card_text(attachment: Payload) -> str:
    if not _CARD.match(text_of(attachment, "contentType")):
        return ""
    text = "\n".join(dict.fromkeys(_lines(content_of(attachment))))
    return _DATE.sub(r"\1", text)


def _lines(part: object, depth: int = 0) -> Iterator[str]:
    """The words of a card in their order, without its buttons and fields."""
    if depth > _MAX_DEPTH:
        return
    if isinstance(part, list):
        for each in part:
            yield from _lines(each, depth + 1)
    elif isinstance(part, Mapping) and not text_of(part, "type").startswith(("Input.", "Action.")):
        if fact := _fact(part):
            yield fact
        elif inlines := part.get("inlines"):
            yield "".join(_run(each) for each in inlines if isinstance(inlines, list))
        else:
            yield from _members(part, depth)


def _members(part: Payload, depth: int) -> Iterator[str]:
    for key, value in part.items():
        if isinstance(value, str):
            if key in _TEXTS and value.strip():
                yield value.strip()
        elif key not in _CONTROLS:
            yield from _lines(value, depth + 1)


def _fact(part: Payload) -> str:
    for title, value in _FACTS:
        if part.keys() == {title, value}:
            return f"{text_of(part, title)}: {text_of(part, value)}"
    return ""


def _run(inline: object) -> str:
    if isinstance(inline, str):
        return inline
    return text_of(inline, "text") if isinstance(inline, Mapping) else ""

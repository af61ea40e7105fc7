"""What a message says, and what it carries beside: forwards, blocks, files. Pure and total."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from adapters.slack.mrkdwn.line import escape
from adapters.slack.reading.blocks import text_of_blocks
from adapters.slack.reading.text import SlackIdentity, mentioned, plain_text, read_text
from bot.adapter_support.payloads import Payload, PlainText, size_of, table_of, tables_of, text_of
from bot.adapter_support.quoting import quoted, with_quotes
from bot.types import Attachment

NO_TEXT = "This content can't be displayed."
"""Slack's own text of a message that an app sent as blocks only."""

_UNKNOWN = "A file of another workspace"
_FORWARDED = ("is_share", "is_msg_unfurl")
_UNFURLED = ("from_url", "original_url", "app_unfurl_url")


def read_message(message: Payload, me: SlackIdentity, names: Mapping[str, str]) -> PlainText:
    """Only its own words mention anybody; what it quotes follows them and is marked as such."""
    said = read_text(own_words(message), me, names)
    quotes = (_quote(each, me, names) for each in tables_of(message, "attachments"))
    return replace(said, text=with_quotes(said.text, *quotes))


def own_words(message: Payload) -> str:
    """In mrkdwn; without what Slack or an app hung below the message."""
    return _said(text_of(message, "text"), message)


def people_in(message: Payload) -> list[str]:
    """The ids of those who are mentioned, or quoted without a name."""
    quotes = tables_of(message, "attachments")
    named = [found for raw in (own_words(message), *map(_raw, quotes)) for found in mentioned(raw)]
    return [*named, *(text_of(each, "author_id") for each in quotes if not _author(each))]


def called(message: Payload) -> str:
    """The name that an app gave itself."""
    return text_of(message, "username") or text_of(table_of(message, "bot_profile"), "name")


def files_of(message: Payload) -> tuple[Attachment, ...]:
    """Its own and those of what it forwards.

    Files of which Slack gives no address cannot be fetched and are left out.
    """
    forwarded = filter(_is_forward, tables_of(message, "attachments"))
    found = (_file(file) for each in (message, *forwarded) for file in tables_of(each, "files"))
    return tuple(file for file in found if file.url)


def _said(text: str, message: Payload) -> str:
    is_text = bool(text.strip()) and text != NO_TEXT
    return text if is_text else text_of_blocks(tables_of(message, "blocks"))


def _quote(attachment: Payload, me: SlackIdentity, names: Mapping[str, str]) -> str:
    """Empty for the preview of a link, which is no word of the person's."""
    title = "Attachment of the message"
    if _is_forward(attachment):
        author = _author(attachment) or names.get(text_of(attachment, "author_id"))
        title = f"Forwarded message from {author}" if author else "Forwarded message"
    text = plain_text(_raw(attachment), me, names)
    return quoted(title, text) if text else ""


def _author(attachment: Payload) -> str:
    return text_of(attachment, "author_name")


def _raw(attachment: Payload) -> str:
    if _is_forward(attachment):
        raw = _forwarded(attachment)
    elif any(attachment.get(key) for key in _UNFURLED):
        return ""
    else:
        raw = "\n".join(filter(None, _parts(attachment)))
    return raw or escape(text_of(attachment, "fallback"))


def _is_forward(attachment: Payload) -> bool:
    """A message that was forwarded, or that a link in the message leads to."""
    return any(attachment.get(key) is True for key in _FORWARDED)


def _forwarded(attachment: Payload) -> str:
    messages = (table_of(each, "message") for each in tables_of(attachment, "message_blocks"))
    return _said(text_of(attachment, "text"), attachment) or "\n".join(map(own_words, messages))


def _parts(attachment: Payload) -> Iterator[str]:
    yield text_of(attachment, "pretext")
    yield text_of(attachment, "title")
    yield _said(text_of(attachment, "text"), attachment)
    for field in tables_of(attachment, "fields"):
        name, value = text_of(field, "title"), text_of(field, "value")
        yield f"{name}: {value}" if name and value else name or value


def _file(file: Payload) -> Attachment:
    """The address for a download comes first: that of a PDF redirects to another host."""
    if is_only_an_id(file):
        return Attachment(_UNKNOWN, "text/plain", 0, f"slack-connect:{text_of(file, 'id')}")
    return Attachment(
        name=text_of(file, "name") or "file",
        media_type=_media_type(file),
        size=size_of(file, "size"),
        url=text_of(file, "url_private_download") or text_of(file, "url_private"),
    )


def is_only_an_id(file: Payload) -> bool:
    """A file of another workspace (Slack Connect) that was not looked up."""
    return text_of(file, "file_access") == "check_file_info" and not text_of(file, "url_private")


def _media_type(file: Payload) -> str:
    """Slack calls its own voice notes videos where a browser recorded them."""
    if text_of(file, "subtype") == "slack_audio":
        return "audio/mp4"
    return text_of(file, "mimetype") or "application/octet-stream"

"""Messages that a message forwards or replies to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from adapters.teams.reading.attachments import content_of
from adapters.teams.reading.formatted import QuotedMessage, letters_of, read_html
from bot.adapter_support.payloads import Payload, table_of, tables_of, text_of
from bot.adapter_support.quoting import quoted

_NO_TEXT = "(without text)"


def quoted_messages(activity: Payload, in_html: Sequence[QuotedMessage]) -> list[str]:
    """Teams may tell of one message in several ways; it is quoted once."""
    found = [*in_html, *_replied_to(activity), *_referred_to(activity)]
    return [_quote(message) for message in _distinct(found)]


def _distinct(found: Sequence[QuotedMessage]) -> Iterator[QuotedMessage]:
    ids: set[str] = set()
    texts: set[str] = set()
    for each in found:
        letters = letters_of(each.text)
        is_known = each.id in ids or (letters in texts and bool(letters))
        if not is_known:
            yield each
        ids.update({each.id} - {""})
        texts.add(letters)


def _quote(message: QuotedMessage) -> str:
    is_forward = message.kind == "forward"
    title = "Forwarded message" if is_forward else "Message that is replied to"
    if message.author:
        title += f"{'' if is_forward else ','} from {message.author}"
    return quoted(title, message.text.strip() or _NO_TEXT)


def _replied_to(activity: Payload) -> Iterator[QuotedMessage]:
    for entity in tables_of(activity, "entities"):
        if entity.get("type") == "quotedReply":
            told = table_of(entity, "quotedReply") or entity
            is_deleted = told.get("isReplyDeleted") is True
            text = "(deleted)" if is_deleted else text_of(told, "preview")
            author, id_ = text_of(told, "senderName"), text_of(told, "messageId")
            yield QuotedMessage("reply", text, author, id_)


def _referred_to(activity: Payload) -> Iterator[QuotedMessage]:
    for attachment in tables_of(activity, "attachments"):
        told = content_of(attachment)
        match text_of(attachment, "contentType"):
            case "messageReference":
                author = _name(table_of(told, "messageSender"))
                text, id_ = text_of(told, "messagePreview"), text_of(told, "messageId")
                yield QuotedMessage("reply", text, author, id_)
            case "forwardedMessageReference":
                author = _name(table_of(told, "originalMessageSender"))
                text = read_html(text_of(told, "originalMessageContent")).text
                yield QuotedMessage("forward", text, author, text_of(told, "originalMessageId"))


def _name(sender: Payload) -> str:
    """Of a person or of an app."""
    names = (text_of(table_of(sender, kind), "displayName") for kind in ("user", "application"))
    return next(filter(None, names), "")

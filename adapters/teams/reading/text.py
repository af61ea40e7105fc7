"""The text of a message: the person's own words, and behind them what the message quotes."""

from __future__ import annotations

import html
import re

from adapters.teams.reading.attachments import quoted_attachments
from adapters.teams.reading.formatted import FormattedMessage, letters_of, read_html
from adapters.teams.reading.quotes import quoted_messages
from bot.adapter_support.payloads import Payload, PlainText, table_of, tables_of, text_of
from bot.adapter_support.quoting import with_quotes

_AT = re.compile(r"<at\b[^>]*>(.*?)</at>", re.IGNORECASE | re.DOTALL)
_BREAK = re.compile(r"<br\s*/?>|</(?:p|div|li)>", re.IGNORECASE)
_EMOJI = re.compile(r'<(?:img|emoji)\b[^>]*\balt="([^"]*)"[^>]*>', re.IGNORECASE)
_TAG = re.compile(r"</?[a-z][^<>]*>", re.IGNORECASE)
_CODE = re.compile(r"(```.*?```|`[^`\n]+`)", re.DOTALL)
_PLACEHOLDER = re.compile(r'<quoted messageId="[^"]*"\s*/>|<attachment id="[^"]*">\s*</attachment>')


def read_text(activity: Payload, bot_id: str) -> PlainText:
    """Only the entities are mentions; a tag that somebody typed is text."""
    own, others = _mentions(activity, bot_id)
    formatted = _formatted(activity, own)
    quotes = quoted_messages(activity, formatted.quotes) + quoted_attachments(activity)
    text = _own_words(activity, own, _PLACEHOLDER if quotes else None)
    if _says_more(formatted, activity, text):
        text = formatted.text
    return PlainText(with_quotes(_tidy(text), *quotes), bool(own), others)


def _formatted(activity: Payload, own: list[str]) -> FormattedMessage:
    for each in tables_of(activity, "attachments"):
        if each.get("contentType") == "text/html" and (content := text_of(each, "content")):
            return read_html(content, map(_name, own))
    return FormattedMessage()


def _says_more(formatted: FormattedMessage, activity: Payload, text: str) -> bool:
    """Whether the plain text is a copy of this, without emoji, code or the end of a forward.

    What is forwarded is in the copy, too, before or behind the person's own words.
    """
    forwards = any(each.kind == "forward" for each in formatted.quotes)
    named = letters_of(_PLACEHOLDER.sub("", text_of(activity, "text")))
    copies = (named, formatted.named_letters), (letters_of(text), formatted.letters)
    if forwards:
        return any(copy.startswith(own) or copy.endswith(own) for copy, own in copies)
    return formatted.adds and any(copy == own for copy, own in copies)


def _own_words(activity: Payload, own: list[str], placeholder: re.Pattern[str] | None) -> str:
    """A mention in code is code."""
    parts = _CODE.split(text_of(activity, "text"))  # every other one is code
    for mention in own:
        for index in range(0, len(parts), 2):
            parts[index], is_found = _without(mention, parts[index])
            if is_found:
                break
    parts[::2] = [_AT.sub(r"@\1", part) for part in parts[::2]]
    if placeholder:
        parts[::2] = [placeholder.sub("", part) for part in parts[::2]]
    text = "".join(parts)
    if activity.get("textFormat") == "xml":
        text = _EMOJI.sub(r"\1", _BREAK.sub("\n", text))
        text = html.unescape(_TAG.sub("", text))
    return text


def _without(mention: str, text: str) -> tuple[str, bool]:
    name = re.escape(_name(mention))
    pattern = rf"<at\b[^>]*>{name}</at>" if _AT.fullmatch(mention) else re.escape(mention)
    text, num_found = re.subn(pattern, " ", text, count=1) if mention else (text, 0)
    return text, num_found > 0


def _mentions(activity: Payload, bot_id: str) -> tuple[list[str], bool]:
    """The texts of the bot's own mentions, and whether there are others."""
    mentions = [each for each in tables_of(activity, "entities") if each.get("type") == "mention"]
    own = [each for each in mentions if table_of(each, "mentioned").get("id") == bot_id]
    return [_tag(each) for each in own], len(own) < len(mentions)


def _tag(mention: Payload) -> str:
    """The mention as it is in the text; some clients leave that out of the entity."""
    name = table_of(mention, "mentioned").get("name")
    own = f"<at>{name}</at>" if isinstance(name, str) else ""
    return text_of(mention, "text") or own


def _name(tag: str) -> str:
    return _AT.sub(r"\1", tag)


def _tidy(text: str) -> str:
    text = text.replace("&nbsp;", " ").replace("\u00a0", " ").replace("\r\n", "\n")
    return re.sub(r"\A\s*[,:]?\s*", "", re.sub(r"[ \t]+(?=\n|\Z)", "", text)).rstrip()

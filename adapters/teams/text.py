"""What a person typed in Teams -> plain text, and whom it mentions. Pure."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_AT = re.compile(r"<at\b[^>]*>(.*?)</at>", re.IGNORECASE | re.DOTALL)
_BREAK = re.compile(r"<br\s*/?>|</(?:p|div|li)>", re.IGNORECASE)
_TAG = re.compile(r"</?[a-z][^<>]*>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PlainText:
    """``text`` without the bot's own mention."""

    text: str
    mentions_bot: bool
    mentions_others: bool


def read_text(activity: Mapping[str, Any], bot_id: str) -> PlainText:
    """Who is mentioned is what the entities say; a tag that somebody typed is text."""
    raw = activity.get("text")
    text = raw if isinstance(raw, str) else ""
    own, others = _mentions(activity.get("entities"), bot_id)
    for tag in own:
        text = text.replace(tag, " ", 1) if tag else text
    text = _AT.sub(lambda match: f"@{match[1]}", text)
    if activity.get("textFormat") == "xml":
        text = html.unescape(_TAG.sub("", _BREAK.sub("\n", text)))
    return PlainText(_tidy(text), bool(own), others)


def _mentions(entities: object, bot_id: str) -> tuple[list[str], bool]:
    """The texts of the bot's own mentions, and whether there are others."""
    own: list[str] = []
    others = False
    for entity in entities if isinstance(entities, Sequence) else ():
        if not isinstance(entity, Mapping) or entity.get("type") != "mention":
            continue
        mentioned = entity.get("mentioned")
        if isinstance(mentioned, Mapping) and mentioned.get("id") == bot_id:
            own.append(_tag(entity, mentioned))
        else:
            others = True
    return own, others


def _tag(entity: Mapping[str, Any], mentioned: Mapping[str, Any]) -> str:
    """How the mention stands in the text; some clients leave that out of the entity."""
    tag, name = entity.get("text"), mentioned.get("name")
    if isinstance(tag, str) and tag:
        return tag
    return f"<at>{name}</at>" if isinstance(name, str) else ""


def _tidy(text: str) -> str:
    text = text.replace("&nbsp;", " ").replace("\u00a0", " ").replace("\r\n", "\n")
    return re.sub(r"\A\s*[,:]?\s*", "", re.sub(r"[ \t]+(?=\n|\Z)", "", text)).rstrip()

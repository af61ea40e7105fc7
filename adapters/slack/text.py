"""What a person typed in Slack -> plain text, and whom it mentions. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_TOKEN = re.compile(r"<([@#!]|https?://|mailto:|tel:)([^<>|]*)(?:\|([^<>]*))?>")
_ENTITIES = {"&lt;": "<", "&gt;": ">", "&amp;": "&"}
_ENTITY = re.compile("|".join(_ENTITIES))


@dataclass(frozen=True, slots=True)
class PlainText:
    """``text`` without the bot's own mention."""

    text: str
    mentions_bot: bool
    mentions_others: bool


def read_text(raw: str, bot_id: str, names: Mapping[str, str]) -> PlainText:
    """``names``: user id -> name, as far as they are known."""
    tokens = [(sigil, target) for sigil, target, _ in _TOKEN.findall(raw)]
    own = ("@", bot_id)
    return PlainText(
        text=_unescape(_TOKEN.sub(lambda m: _shown(m, names), _without_own(raw, bot_id))).strip(),
        mentions_bot=own in tokens,
        mentions_others=any(_addresses_somebody(*token) for token in tokens if token != own),
    )


def _without_own(raw: str, bot_id: str) -> str:
    mention = rf"<@{re.escape(bot_id)}(?:\|[^<>]*)?>"
    raw = re.sub(rf"\A\s*{mention}\s*[,:]?", "", raw)
    return re.sub(rf"{mention}[ \t]?", "", raw)


def _addresses_somebody(sigil: str, target: str) -> bool:
    return sigil == "@" or (sigil == "!" and not target.startswith("date^"))


def _shown(match: re.Match[str], names: Mapping[str, str]) -> str:
    sigil, target, label = match.groups()
    match sigil:
        case "@":
            return f"@{names.get(target) or label or target}"
        case "#":
            return f"#{label or target}"
        case "!":
            return label or f"@{target.partition('^')[0]}"
    return _link(sigil + target, label)


def _link(url: str, label: str | None) -> str:
    if not label or label in url:  # Slack labels what it linked by itself with the text typed
        return url if url.startswith("http") else url.partition(":")[2]
    return f"{label} ({url})"


def _unescape(text: str) -> str:
    return _ENTITY.sub(lambda match: _ENTITIES[match.group()], text)

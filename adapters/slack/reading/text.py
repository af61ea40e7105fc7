"""Slack's notation -> plain text. Pure and total."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from bot.adapter_support.payloads import PlainText

_TOKEN = re.compile(r"<([@#!]|https?://|mailto:|tel:)([^<>|]*)(?:\|([^<>]*))?>")
_CODE = re.compile(r"(```.*?```|`[^`\n]+`)", re.DOTALL)
_TIMESTAMP = re.compile(r"[0-9]{1,11}\.[0-9]{1,9}")
_ENTITIES = {"&lt;": "<", "&gt;": ">", "&amp;": "&"}
_ENTITY = re.compile("|".join(_ENTITIES))
_EVERYBODY = ("here", "channel", "everyone")


@dataclass(frozen=True, slots=True)
class SlackIdentity:
    """Who the bot is, as ``auth.test`` answered."""

    team_id: str
    user_id: str
    name: str = "Parley"
    bot_id: str = ""


def is_timestamp(text: str) -> bool:
    """Whether Slack could have named a message so."""
    return _TIMESTAMP.fullmatch(text) is not None


def read_text(raw: str, me: SlackIdentity, names: Mapping[str, str]) -> PlainText:
    """What a person says; ``names``: user id -> name, as far as they are known.

    A mention in code is none and stays there, whether it is Parley's or somebody else's.
    """
    pieces = _CODE.split(raw)  # code at the odd places
    tokens = [(sigil, at) for piece in pieces[::2] for sigil, at, _ in _TOKEN.findall(piece)]
    own = ("@", me.user_id)
    pieces[::2] = _without_own(pieces[::2], me.user_id)
    return PlainText(
        text=plain_text("".join(pieces), me, names),
        mentions_bot=own in tokens,
        mentions_others=any(_addresses_somebody(*token) for token in tokens if token != own),
    )


def plain_text(raw: str, me: SlackIdentity, names: Mapping[str, str]) -> str:
    """Every mention by its name, Parley's own, too."""
    known = {me.user_id: me.name}
    shown = _TOKEN.sub(lambda match: _shown(match, known, names), raw)
    return _ENTITY.sub(lambda match: _ENTITIES[match[0]], shown).strip()


def mentioned(raw: str) -> list[str]:
    """The ids of the people who are mentioned."""
    return [target for sigil, target, _ in _TOKEN.findall(raw) if sigil == "@"]


def _without_own(pieces: list[str], bot_id: str) -> list[str]:
    """``pieces``: all but code. The mention that opens the text takes its comma along."""
    mention = rf"<@{re.escape(bot_id)}(?:\|[^<>]*)?>"
    first = re.sub(rf"\A\s*{mention}\s*[,:]?", "", pieces[0])
    return [re.sub(rf"{mention}[ \t]?", "", piece) for piece in (first, *pieces[1:])]


def _addresses_somebody(sigil: str, target: str) -> bool:
    return sigil == "@" or (sigil == "!" and not target.startswith("date^"))


def _shown(match: re.Match[str], known: Mapping[str, str], names: Mapping[str, str]) -> str:
    sigil, target, label = match.groups()
    match sigil:
        case "@":
            return f"@{known.get(target) or names.get(target) or label or target}"
        case "#":
            return f"#{label}" if label else "(a channel)"
        case "!":
            return _special(target, label)
    return _link(sigil + target, label)


def _special(target: str, label: str | None) -> str:
    kind, _, rest = target.partition("^")
    match kind:
        case "date":
            return label or _moment(rest)
        case "subteam":
            return f"@{label.removeprefix('@')}" if label else "(a user group)"
        case _ if kind in _EVERYBODY:
            return f"@{kind}"
    return label or f"@{kind}"


def _moment(rest: str) -> str:
    """``1700000000^{date}``, to which Slack ought to have given a fallback."""
    try:
        at = datetime.fromtimestamp(int(rest.partition("^")[0]), UTC)
    except (ValueError, OverflowError, OSError):
        return "(a date)"
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _link(url: str, label: str | None) -> str:
    if not label or label in url:  # Slack labels what it linked by itself with the text typed
        return url if url.startswith("http") else url.partition(":")[2]
    return f"{label} ({url})"

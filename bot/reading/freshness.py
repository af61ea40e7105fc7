"""How long an answer may be used again, by its headers (RFC 9111). Pure.

All requests of Parley are the same, without cookies, so of what ``Vary`` names only ``*`` varies.
Its readers are many: it is a shared cache.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

DEFAULT_SECONDS = 300.0
"""Where nothing is said."""

MAX_SECONDS = 3600.0

_DIRECTIVE = re.compile(r"([\w-]+)(?:\s*=\s*(?:\"([^\"]*)\"|([^,\s]*)))?")
_AGE = re.compile(r"\d{1,9}")
_ABOUT_KEEPING = ("Cache-Control", "Expires", "Vary", "ETag", "Last-Modified")
_OF_ONE_ANSWER = ("Date", "Age")


def about_keeping(
    headers: Mapping[str, str], earlier: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Those that count here. An answer *not modified* replaces one by one those of the ``earlier``
    answer that is used again.
    """
    lasting = {name: text for name, text in (earlier or {}).items() if name in _ABOUT_KEEPING}
    names = (*_ABOUT_KEEPING, *_OF_ONE_ANSWER)
    return lasting | {name: headers[name] for name in names if name in headers}


def fresh_seconds(headers: Mapping[str, str], now: datetime) -> float | None:
    """From now on; None: it may not be kept. ``headers``: in any case of letters."""
    directives = _directives(headers.get("Cache-Control", ""))
    if directives.keys() & {"no-store", "private"} or "*" in headers.get("Vary", ""):
        return None
    if "no-cache" in directives:
        return 0.0
    lifetime = _lifetime(directives, headers, now)
    return min(max(0.0, lifetime - _age(headers, now)), MAX_SECONDS)


def conditions(headers: Mapping[str, str]) -> dict[str, str]:
    """Of a request for what was kept, in case it has changed; empty: it cannot be asked so."""
    pairs = (("ETag", "If-None-Match"), ("Last-Modified", "If-Modified-Since"))
    return {asked: headers[said] for said, asked in pairs if headers.get(said)}


def seconds_of(text: str, now: datetime) -> float | None:
    """Until a moment, given as seconds or as a date of HTTP; None if it is neither."""
    if _AGE.fullmatch(text.strip()):
        return float(text)
    moment = _moment(text)
    return None if moment is None else max(0.0, (moment - now).total_seconds())


def _directives(text: str) -> dict[str, str]:
    """The first of each name, in lower case."""
    found: dict[str, str] = {}
    for name, quoted, plain in _DIRECTIVE.findall(text):
        found.setdefault(name.lower(), quoted or plain)
    return found


def _lifetime(directives: Mapping[str, str], headers: Mapping[str, str], now: datetime) -> float:
    for name in ("s-maxage", "max-age"):
        if name in directives:
            return float(directives[name]) if _AGE.fullmatch(directives[name]) else 0.0
    if "Expires" in headers:
        expires = _moment(headers["Expires"])
        since = _moment(headers.get("Date", "")) or now
        return (expires - since).total_seconds() if expires else 0.0
    return DEFAULT_SECONDS


def _age(headers: Mapping[str, str], now: datetime) -> float:
    said = headers.get("Age", "")
    date = _moment(headers.get("Date", ""))
    apparent = (now - date).total_seconds() if date else 0.0
    return max(0.0, apparent, float(said) if _AGE.fullmatch(said) else 0.0)


def _moment(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None

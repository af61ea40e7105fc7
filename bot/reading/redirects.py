"""Where an answer sends its reader on to."""

from __future__ import annotations

from yarl import URL

from bot.reading.addresses import AddressRules
from bot.reading.fetcher import Fetched
from bot.reading.page import PageFailed, PageRefused

_STATUSES = frozenset({301, 302, 303, 307, 308})


def redirected(found: Fetched, rules: AddressRules) -> URL | None:
    """The next address, checked as any other; None: this is the end. Raises ``PageRefused``.

    Nothing that was asked for in secret is looked for in the open.
    """
    location = found.headers.get("Location", "").strip()
    if found.status not in _STATUSES or not location:
        return None
    try:
        target = str(found.url.join(URL(location.replace(" ", "%20"))))
    except (ValueError, IndexError):  # yarl raises both
        raise PageFailed(f"{found.url.host} leads to an address that is none.") from None
    url = rules.check(target)
    if found.url.scheme == "https" and url.scheme != "https":
        raise PageRefused(f"{found.url.host} leads from HTTPS to {url.host} without it.")
    return url

"""Where the links of a page or a feed lead."""

from __future__ import annotations

from urllib.parse import urljoin

_SCHEMES = ("http://", "https://", "mailto:")


def address_of(link: str, base: str) -> str:
    """Absolute; empty for a link that leads to no page and to nobody's mail, or is broken."""
    try:
        found = urljoin(base, link.strip()) if link.strip() else ""
    except ValueError:
        return ""
    return found if found.lower().startswith(_SCHEMES) else ""

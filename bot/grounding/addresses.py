"""The addresses in a question, and what people are told of them; pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from bot.markdown.addresses import end_of_address

MAX_ADDRESSES = 3
_BEGIN = re.compile(r"(?i)(?<![a-z0-9+.-])https?://(?=[^\s/])")


def addresses_in(text: str) -> tuple[str, ...]:
    """The first few, each once: those of the asker's own words, then those of what is quoted."""
    lines = text.split("\n")
    own = [line for line in lines if not line.startswith(">")]
    quoted = [line for line in lines if line.startswith(">")]
    found = dict.fromkeys(each for line in (*own, *quoted) for each in _addresses(line))
    return tuple(found)[:MAX_ADDRESSES]


def _addresses(line: str) -> Iterator[str]:
    position = 0
    while match := _BEGIN.search(line, position):
        position = max(end_of_address(line, match.start()), match.end())
        yield line[match.start() : position]


def host_of(address: str) -> str:
    """Of an address that may be none: for people."""
    try:
        return urlsplit(address).hostname or address
    except ValueError:
        return address


def is_on(address: str, sites: tuple[str, ...]) -> bool:
    """Whether it is on one of the sites, or on a part of one."""
    host = host_of(address).casefold().removeprefix("www.")
    return any(host == site or host.endswith(f".{site}") for site in map(_site, sites))


def _site(name: str) -> str:
    """As people write it: a domain, or an address there."""
    name = name.strip().casefold()
    return (host_of(name) if "://" in name else name.partition("/")[0]).removeprefix("www.")

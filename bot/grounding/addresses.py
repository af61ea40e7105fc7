"""The addresses in a question, and what people are told of them; pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain
from urllib.parse import urlsplit

from bot.markdown.addresses import end_of_address

MAX_ADDRESSES = 3
_MAX_LENGTH = 4_000
_BEGIN = re.compile(r"(?i)(?<![a-z0-9+.-])https?://(?=[^\s/])")


def addresses_in(text: str) -> tuple[str, ...]:
    """The first few, each once: those of the asker's own words, then those of what is quoted."""
    lines = text.split("\n")
    own = [line for line in lines if not line.startswith(">")]
    quoted = [line for line in lines if line.startswith(">")]
    found: dict[str, None] = {}
    for address in chain.from_iterable(map(_addresses, (*own, *quoted))):
        found[address] = None
        if len(found) == MAX_ADDRESSES:
            break
    return tuple(found)


def _addresses(line: str) -> Iterator[str]:
    position = 0
    while match := _BEGIN.search(line, position):
        run = line[match.start() : match.start() + _MAX_LENGTH]
        address = run[: max(end_of_address(run, 0), len(match[0]))]
        position = match.start() + len(address)
        yield address


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

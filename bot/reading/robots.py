"""Whether a site's robots.txt lets Parley read an address (RFC 9309)."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from protego import Protego
from yarl import URL

from bot.ports import Clock
from bot.reading.addresses import AddressRules
from bot.reading.fetcher import ROBOT, Fetcher
from bot.reading.page import PageFailed, PageRefused
from bot.reading.redirects import redirected

_KEEP_SECONDS = 3600.0
_MAX_SITES = 256
_MAX_BYTES = 512 * 1024
_MAX_REDIRECTS = 5
_MAX_WORK = 200_000
"""Rules, each counted for every robot that it is about: Protego keeps so many."""

_AGENT = ("user-agent", "useragent", "user agent")


class Robots:
    """Keeps what sites say for an hour. A site that says nothing forbids nothing."""

    def __init__(self, fetcher: Fetcher, rules: AddressRules, clock: Clock) -> None:
        self._fetcher = fetcher
        self._rules = rules
        self._clock = clock
        self._sites: OrderedDict[URL, tuple[float, Protego]] = OrderedDict()

    async def check(self, url: URL) -> None:
        """Raises ``PageRefused``."""
        said = await self._said_by(url.origin())
        if not said.can_fetch(str(url), ROBOT):
            raise PageRefused(
                f"{url.host} asks programs, in its robots.txt, not to read this page."
            )

    async def _said_by(self, origin: URL) -> Protego:
        kept = self._sites.get(origin)
        if kept and self._clock.monotonic() < kept[0]:
            return kept[1]
        said = await asyncio.to_thread(_parsed, await self._fetch(origin), origin)
        self._sites[origin] = (self._clock.monotonic() + _KEEP_SECONDS, said)
        self._sites.move_to_end(origin)
        while len(self._sites) > _MAX_SITES:
            self._sites.popitem(last=False)
        return said

    async def _fetch(self, origin: URL) -> bytes:
        """Empty where there is none. A server with an error may have rules that it cannot tell."""
        url = origin / "robots.txt"
        for _ in range(_MAX_REDIRECTS + 1):
            found = await self._fetcher.get(url, max_bytes=_MAX_BYTES, cuts=True)
            target = redirected(found, self._rules)
            if target is None:
                break
            url = target
        if found.status >= 500:
            raise PageFailed(f"{origin.host} cannot say now, in its robots.txt, what may be read.")
        return found.data


def _parsed(data: bytes, origin: URL) -> Protego:
    text = data.decode("utf-8-sig", "replace")
    if _work(text) > _MAX_WORK:
        raise PageRefused(f"The robots.txt of {origin.host} has more rules than I can read.")
    return Protego.parse(text)


def _work(text: str) -> int:
    """Lines, each counted for every robot that its group is about."""
    num_agents = total = 0
    is_agent = False
    for line in text.lower().splitlines():
        was_agent, is_agent = is_agent, line.lstrip().startswith(_AGENT)
        if is_agent:
            num_agents = num_agents + 1 if was_agent else 1
        total += num_agents
    return total

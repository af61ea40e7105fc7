"""Reads a page or feed: from the cache, or from its server and through the child process."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Self

from yarl import URL

from bot.documents.document import DocumentKind
from bot.documents.reader import DocumentReader, Unreadable
from bot.documents.sniffing import kind_of_bytes
from bot.documents.unread import WhyUnread
from bot.metrics import Metrics
from bot.ports import Clock
from bot.reading.addresses import AddressRules
from bot.reading.fetcher import Fetched, Fetcher
from bot.reading.freshness import about_keeping, conditions, fresh_seconds, seconds_of
from bot.reading.page import Page, PageFailed, PageRefused
from bot.reading.redirects import redirected
from bot.reading.resolver import own_addresses
from bot.reading.robots import Robots

logger = logging.getLogger(__name__)

MAX_CHARACTERS = 200_000
"""Of a page's text; what is left out is the end."""

_MAX_REDIRECTS = 5
_SECONDS = 30.0
"""For all of it: redirects, robots.txt and the child process."""

_MAX_KEPT_PAGES = 256
_MAX_KEPT_CHARACTERS = 16 * 1024 * 1024
_NOT_MODIFIED = 304
_LASTING = frozenset({200, 301, 308})
"""Answers that are kept though nothing is said about keeping them."""

_STATUSES = {
    401: "{host} shows this page only to people who have signed in.",
    403: "{host} does not let me read this page.",
    404: "{host} has no page at this address.",
    410: "{host} has no page at this address any more.",
    451: "{host} may not show this page.",
}
_WHY = {
    WhyUnread.EMPTY: "{host} sends an empty page.",
    WhyUnread.LOCKED: "The document at {host} is locked with a password.",
    WhyUnread.ONLY_PICTURES: "The document at {host} holds only pictures, which I cannot see.",
    WhyUnread.NO_TEXT: "{host} sends no text that I can read.",
    WhyUnread.OTHER_FORMAT: "{host} sends a format that I cannot read.",
    WhyUnread.TOO_MUCH: "What {host} sends takes too much to read.",
}


@dataclass(frozen=True, slots=True)
class KeptPage:
    """``read``: a page, or the address that a redirect leads to. ``fresh_until``: by the monotonic
    clock. ``headers``: those about keeping it.
    """

    read: Page | URL
    fresh_until: float
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def num_characters(self) -> int:
        return len(self.read.text) if isinstance(self.read, Page) else 0


class PageCache:
    """In memory, within bounds of number and size. What was used least recently goes first."""

    def __init__(
        self, max_pages: int = _MAX_KEPT_PAGES, max_characters: int = _MAX_KEPT_CHARACTERS
    ) -> None:
        self._max_pages = max_pages
        self._max_characters = max_characters
        self._kept: OrderedDict[URL, KeptPage] = OrderedDict()
        self._num_characters = 0

    def get(self, url: URL) -> KeptPage | None:
        if url in self._kept:
            self._kept.move_to_end(url)
        return self._kept.get(url)

    def put(self, url: URL, page: KeptPage) -> None:
        self.drop(url)
        self._kept[url] = page
        self._num_characters += page.num_characters
        while len(self._kept) > self._max_pages or self._num_characters > self._max_characters:
            self.drop(next(iter(self._kept)))

    def drop(self, url: URL) -> None:
        gone = self._kept.pop(url, None)
        self._num_characters -= gone.num_characters if gone else 0


class PageReader:
    """Those who ask for the same address at the same time share one fetch.

    ``robots``: None where no site is asked what programs may read.
    """

    def __init__(
        self,
        fetcher: Fetcher,
        rules: AddressRules,
        clock: Clock,
        metrics: Metrics,
        *,
        robots: Robots | None = None,
        documents: DocumentReader | None = None,
    ) -> None:
        self._fetcher = fetcher
        self._rules = rules
        self._clock = clock
        self._metrics = metrics
        self._robots = robots
        self._documents = documents or DocumentReader()
        self._cache = PageCache()
        self._under_way: dict[URL, asyncio.Task[Page]] = {}
        self._num_waiting: Counter[asyncio.Task[Page]] = Counter()

    @classmethod
    def of(
        cls,
        allowed: Iterable[str],
        robots: Literal["obey", "ignore"],
        clock: Clock,
        metrics: Metrics,
    ) -> Self:
        """``allowed``: texts of ``host_and_port``; see ``AddressRules``."""
        rules = AddressRules.of(allowed, own_addresses())
        fetcher = Fetcher(rules)
        asked = Robots(fetcher, rules, clock) if robots == "obey" else None
        return cls(fetcher, rules, clock, metrics, robots=asked)

    async def __aenter__(self) -> Self:
        await self._fetcher.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if tasks := tuple(self._under_way.values()):
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        await self._fetcher.__aexit__(kind, error, trace)

    async def read(self, address: str, tell: Callable[[str], None]) -> Page:
        """Raises ``PageRefused``. ``tell`` takes what is done now, as the text of a ``Progress``.

        When nobody waits for it any more, the connection and the child process end at once.
        """
        try:
            url = self._rules.check(address)
        except PageRefused:
            self._metrics.pages.labels("refused").inc()
            raise
        tell(f"reading {url.host}")
        task = self._under_way.get(url)
        if task is None:
            task = asyncio.create_task(self._counted(url), name="parley-page")
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._under_way[url] = task
        self._num_waiting[task] += 1
        try:
            return await asyncio.shield(task)
        finally:
            self._num_waiting[task] -= 1
            if not self._num_waiting[task]:
                del self._num_waiting[task]
                self._under_way.pop(url, None)
                task.cancel()
                await asyncio.wait([task])

    async def _counted(self, url: URL) -> Page:
        outcome = "stopped"
        try:
            async with asyncio.timeout(_SECONDS):
                page, outcome = await self._follow(url)
        except TimeoutError:
            outcome = "failed"
            raise PageFailed(f"{url.host} takes too long to answer.") from None
        except PageRefused as error:
            outcome = "failed" if isinstance(error, PageFailed) else "refused"
            raise
        except Exception as error:  # what strangers send takes down no question
            outcome = "failed"
            logger.error("an address could not be read", exc_info=error)
            raise PageFailed(f"I cannot read what {url.host} sends.") from None
        finally:
            self._metrics.pages.labels(outcome).inc()
        return page

    async def _follow(self, url: URL) -> tuple[Page, str]:
        """The page, and how it was come by."""
        for _ in range(_MAX_REDIRECTS + 1):
            if self._robots:
                await self._robots.check(url)
            read, outcome = await self._at(url)
            if isinstance(read, Page):
                return read, outcome
            url = read
        raise PageFailed(f"{url.host} sends its reader from address to address without end.")

    async def _at(self, url: URL) -> tuple[Page | URL, str]:
        kept = self._cache.get(url)
        if kept and self._clock.monotonic() < kept.fresh_until:
            return kept.read, "cached"
        asked = conditions(kept.headers) if kept else {}
        found = await self._fetcher.get(url, asked)
        self._metrics.page_bytes.inc(len(found.data))
        if kept and asked and found.status == _NOT_MODIFIED:
            self._keep(url, kept.read, about_keeping(found.headers, kept.headers))
            return kept.read, "revalidated"
        read = redirected(found, self._rules) or await self._page(found)
        if found.status in _LASTING or {"Cache-Control", "Expires"} & found.headers.keys():
            self._keep(url, read, about_keeping(found.headers))
        return read, "read"

    def _keep(self, url: URL, read: Page | URL, headers: dict[str, str]) -> None:
        seconds = fresh_seconds(headers, self._clock.now())
        if seconds is None or (not seconds and not conditions(headers)):
            self._cache.drop(url)
        else:
            self._cache.put(url, KeptPage(read, self._clock.monotonic() + seconds, headers))

    async def _page(self, found: Fetched) -> Page:
        host = found.url.host
        if found.status != 200:
            raise PageFailed(_why_not(found, self._clock))
        kind = kind_of_bytes(found.data, found.headers.get("Content-Type", ""))
        if kind is None:
            raise PageFailed(f"What {host} sends is no page, feed, PDF or text.")
        try:
            document = await self._documents.read(
                found.data, kind, MAX_CHARACTERS + 1, str(found.url)
            )
        except Unreadable as error:
            why = _WHY[WhyUnread.NO_TEXT if error.why is None else error.why]
            raise PageFailed(why.format(host=host)) from None
        text = document.text[:MAX_CHARACTERS]
        is_cut = len(document.text) > MAX_CHARACTERS
        shown: Literal["page", "feed"] = "feed" if kind is DocumentKind.FEED else "page"
        return Page(str(found.url), document.title, text, shown, is_cut)


def _why_not(found: Fetched, clock: Clock) -> str:
    host, status = found.url.host, found.status
    if status == 429:
        seconds = seconds_of(found.headers.get("Retry-After", ""), clock.now())
        wait = f" for {seconds:.0f} seconds" if seconds else ""
        return f"{host} is asked too often and wants to be left alone{wait}."
    if status >= 500:
        return f"{host} has an error of its own ({status}); please try again later."
    return _STATUSES.get(status, f"{{host}} does not give this page ({status}).").format(host=host)

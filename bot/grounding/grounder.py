"""Gathers the sources of an answer: pages, feeds, and passages of a fact base."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from bot.citations import plain
from bot.grounding.addresses import MAX_ADDRESSES, addresses_in, is_on
from bot.grounding.choice import FACTS, SourceChoice, options_of
from bot.grounding.excerpts import excerpt
from bot.grounding.ports import ReadsPages, SearchesFacts
from bot.markdown.links import is_misleading
from bot.metrics import Metrics
from bot.prompt import clean
from bot.reading.page import PageRefused
from bot.source import Source
from bot.types import Personality

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcesWanted:
    """``text``: the question. ``earlier``: what was asked before it in its thread, oldest first.

    ``may_read``: pages whose addresses the question has may be read for whoever asks; ``why_not``:
    a sentence for those for whom they may not. ``sites``: what the personality may read by itself
    is only what is there; empty: everything. ``person`` and ``scope``: see ``GenerationRequest``.
    ``max_characters``: of all excerpts together.
    """

    personality: Personality
    text: str
    earlier: tuple[str, ...] = ()
    may_read: bool = False
    why_not: str = ""
    sites: tuple[str, ...] = ()
    person: str = ""
    scope: str = ""
    max_characters: int = 24_000


@dataclass(frozen=True, slots=True)
class Gathered:
    """``refusals``: a sentence for each reason why something was not read."""

    sources: tuple[Source, ...] = ()
    refusals: tuple[str, ...] = ()


class Grounder:
    """Without ``pages`` no page is read, without ``facts`` nothing is searched."""

    def __init__(
        self,
        metrics: Metrics | None = None,
        pages: ReadsPages | None = None,
        facts: SearchesFacts | None = None,
        choice: SourceChoice | None = None,
    ) -> None:
        self._counter = (metrics or Metrics()).gathered
        self._pages = pages
        self._facts = facts
        self._choice = choice

    def wants(self, wanted: SourcesWanted) -> bool:
        """Whether there is anything to gather for the question, or to tell its asker."""
        own = wanted.personality.sources or wanted.personality.facts is not None
        is_asked = wanted.sites or (
            (wanted.may_read or wanted.why_not) and addresses_in(wanted.text)
        )
        return bool(own or is_asked)

    async def gather(self, wanted: SourcesWanted, tell: Tell) -> Gathered:
        """Never fails. ``tell`` takes what is done now, as the text of a ``Progress``."""
        wanted, refusals = _limited(wanted)
        addresses = addresses_in(wanted.text)
        if addresses and not wanted.may_read:
            addresses = ()
            refusals += [wanted.why_not] if wanted.why_not else []
        is_searched = _always_searches(wanted.personality)
        if not addresses and (chosen := await self._chosen(wanted)):
            is_searched |= chosen == FACTS
            known = (each for each in wanted.personality.sources if each.name == chosen)
            addresses = tuple(each.address for each in known)
        room = wanted.max_characters
        passages = []
        if is_searched:
            passages = await self._search(wanted, room if not addresses else room // 2, tell)
        room -= sum(len(each.excerpt) for each in passages)
        read = await self._read_all(addresses, tell)
        pages = [each for each in read if isinstance(each, Source)]
        refusals += [each for each in read if isinstance(each, str)]
        pages = _fitted(pages, wanted.text, room)
        return Gathered((*pages, *passages), tuple(dict.fromkeys(refusals)))

    async def _chosen(self, wanted: SourcesWanted) -> str | None:
        options = options_of(wanted.personality)
        if not options or self._choice is None:
            return None
        return await self._choice.choose(
            options,
            wanted.text,
            wanted.earlier,
            model=wanted.personality.model,
            person=wanted.person,
            scope=wanted.scope,
        )

    async def _search(self, wanted: SourcesWanted, max_characters: int, tell: Tell) -> list[Source]:
        """The best passages that fit, each whole."""
        if self._facts is None:
            return []
        fitting: list[Source] = []
        for found in await self._facts.search(wanted.personality, wanted.text, tell):
            max_characters -= len(found.excerpt)
            if max_characters < 0:
                break
            heading = tuple(map(plain, found.heading))
            fitting.append(replace(found, excerpt=clean(found.excerpt), heading=heading))
        self._counter.labels("fact", "found").inc(len(fitting))
        return fitting

    async def _read_all(self, addresses: Sequence[str], tell: Tell) -> list[Source | str]:
        if self._pages is None:
            return []
        async with asyncio.TaskGroup() as group:
            reading = [group.create_task(self._read(self._pages, each, tell)) for each in addresses]
        return [each.result() for each in reading]

    async def _read(self, pages: ReadsPages, address: str, tell: Tell) -> Source | str:
        """The whole text, or why there is none."""
        try:
            page = await pages.read(address, tell)
        except PageRefused as refused:
            self._counter.labels("page", "refused").inc()
            return str(refused)
        self._counter.labels(page.kind, "read").inc()
        text, title = clean(page.text), plain(clean(page.title))
        title = "" if is_misleading(title, page.address) else title
        return Source(title, text, page.is_cut, page.kind, page.address)


def _always_searches(personality: Personality) -> bool:
    """Unless the model chooses the fact base among other sources."""
    return personality.facts is not None and (
        not personality.sources or personality.answers == "quoted"
    )


def _limited(wanted: SourcesWanted) -> tuple[SourcesWanted, list[str]]:
    """With those of the personality's sources that are on the sites, if any are named."""
    if not wanted.sites:
        return wanted, []
    personality = wanted.personality
    there = tuple(each for each in personality.sources if is_on(each.address, wanted.sites))
    own = replace(personality, sources=there, facts=None)
    sites = " or ".join(map(plain, wanted.sites[:MAX_ADDRESSES]))
    refusal = f"I search no web, and none of the sources of {personality.title} is on {sites}."
    return replace(wanted, personality=own), [] if there else [refusal]


def _fitted(pages: Sequence[Source], question: str, max_characters: int) -> list[Source]:
    """Each with its share; what a short one leaves goes to the others."""
    cut: dict[int, Source] = {}
    by_length = sorted(range(len(pages)), key=lambda number: len(pages[number].excerpt))
    for num_before, number in enumerate(by_length):
        share = max(0, max_characters) // (len(pages) - num_before)
        text, is_cut = excerpt(pages[number].excerpt, question, share)
        max_characters -= len(text)
        cut[number] = replace(pages[number], excerpt=text, is_cut=is_cut or pages[number].is_cut)
    return [cut[number] for number in range(len(pages)) if cut[number].excerpt]

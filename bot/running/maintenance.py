"""Personalities are read; and periodic tasks: they and facts are reread, old turns pruned, the
event loop's lag measured.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from bot.config import Settings
from bot.errors import ParleyError
from bot.facts.bases import FactBases
from bot.facts.index import check_sqlite
from bot.inference.multi_model.catalogue import Catalogue
from bot.metrics import Metrics
from bot.personality import Check, PersonalityBook
from bot.ports import Clock
from bot.running.engines import check_remotes, known_models
from bot.stores import Retention
from bot.types import Place

logger = logging.getLogger(__name__)

_REREAD_SECONDS = 2.0
_REREAD_SHARE = 20
_PRUNE_SECONDS = 3600.0
_LAG_SECONDS = 0.25


async def read_personalities(settings: Settings, catalogue: Catalogue) -> PersonalityBook:
    known = known_models(settings, catalogue)
    folder, default = settings.personalities, settings.personality
    book = await asyncio.to_thread(PersonalityBook.load, folder, default, known)
    await check_remotes(settings, book.all())
    if any(each.facts for each in book.all()):
        await asyncio.to_thread(check_sqlite)
    return book


async def reread_personalities(book: PersonalityBook, check: Check, clock: Clock) -> None:
    """Apply changed files from the next question on; what is wrong stays as it was."""
    while True:
        await clock.sleep(_REREAD_SECONDS)
        had_faults = bool(book.faults)
        try:
            faults = await book.refresh(clock.now(), check)
        except ParleyError as error:  # the engine is away and cannot count: the next time
            logger.debug("the personalities could not be checked: %s", error)
            continue
        for fault in faults:
            logger.warning("a personality stays as it was: %s", fault)
        if had_faults and not book.faults:
            logger.info("the personalities are right again")


async def reread_facts(book: PersonalityBook, facts: FactBases, clock: Clock) -> None:
    """Index what has changed; where there is much to look at, it is looked at less often."""
    while True:
        seconds = await facts.refresh(book.all())
        await clock.sleep(max(_REREAD_SECONDS, _REREAD_SHARE * seconds))


async def prune(
    store: Retention,
    retention_days: float,
    clock: Clock,
    *,
    forget: Callable[[Place], Awaitable[None]] | None = None,
    sweep: Callable[[], Awaitable[None]] | None = None,
    forget_saved: Callable[[datetime], Awaitable[None]] | None = None,
) -> None:
    """Every hour delete turns older than ``retention_days``; 0 keeps them for ever.

    Expired deduplication keys are dropped in any case. ``forget`` drops the engine's state of a
    thread of which turns were deleted; ``forget_saved`` drops states saved before a moment, and
    ``sweep`` files that no turn awaits.
    """
    while True:
        before = clock.now() - timedelta(days=retention_days) if retention_days else None
        try:
            outdated = await store.outdated(before) if before else []
            num_pruned = await store.prune(before)
            if forget:
                for place in outdated:
                    await forget(place)
            if sweep:
                await sweep()
            if num_pruned:
                logger.info("deleted %s turns older than %s days", num_pruned, retention_days)
            if before and forget_saved:
                await forget_saved(before)
        except ParleyError as error:
            logger.warning("old turns could not be deleted: %s", error)
        await clock.sleep(_PRUNE_SECONDS)


async def measure_lag(metrics: Metrics, clock: Clock) -> None:
    """Observe how late the event loop wakes, which is what a blocking callback costs everybody."""
    while True:
        asked_at = clock.monotonic()
        await clock.sleep(_LAG_SECONDS)
        metrics.loop_lag.observe(max(0.0, clock.monotonic() - asked_at - _LAG_SECONDS))

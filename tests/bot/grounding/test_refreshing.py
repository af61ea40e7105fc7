"""Sources are read before they are asked for."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

import pytest

from bot.grounding.refreshing import SourceRefresher
from bot.metrics import Metrics
from bot.source import KnownSource
from bot.types import Personality
from tests.fakes.clock import FakeClock
from tests.fakes.pages import NEWS, SEA, FakePages

SOURCES = (
    KnownSource("school", NEWS.address, "feed"),
    KnownSource("gone", "https://gone.example/feed", "feed"),
)
PERSONALITIES = (
    Personality("a", "A", "You help.", sources=SOURCES),
    Personality("b", "B", "You help.", sources=(SOURCES[0],)),
)


def counted(metrics: Metrics, outcome: str) -> float | None:
    labels = {"outcome": outcome}
    return metrics.registry.get_sample_value("parley_sources_refreshed_total", labels)


async def test_each_source_is_read_again_and_again_and_a_failing_one_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock, metrics, pages = FakeClock(), Metrics(), FakePages(NEWS, SEA)
    personalities = list(PERSONALITIES)
    refresher = SourceRefresher(pages, lambda: personalities, clock, metrics)
    task = asyncio.create_task(refresher.run())
    with caplog.at_level(logging.WARNING):
        await clock.settle()
        assert pages.asked == [NEWS.address]
        await clock.advance(10)
        assert pages.asked == [NEWS.address, "https://gone.example/feed"]
        await clock.advance(200)
        assert len(pages.asked) == 2
        await clock.advance(200)
        assert len(pages.asked) == 4
    assert (counted(metrics, "read"), counted(metrics, "refused")) == (2, 2)
    assert caplog.messages == [
        "a source at gone.example cannot be read: gone.example has no page at this address."
    ]

    other = replace(PERSONALITIES[0], sources=(KnownSource("sea", SEA.address, "page"),))
    personalities[:] = [other]
    await clock.advance(400)
    assert set(pages.asked[4:]) == {SEA.address}
    task.cancel()
    await asyncio.wait([task])

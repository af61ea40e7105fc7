"""What an update of a growing reply costs the browser, by Chromium's own trace."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from playwright.async_api import Browser, CDPSession, Page, expect

from tests.benchmarks import command
from tests.benchmarks.figures import Row, Table, at_most, percentile
from tests.benchmarks.rendering import LENGTHS, one_reply, texts
from tests.browser import running_browser
from tests.page.parley import PageParley, running_page
from tests.page.people import answer, ask

MAX_UPDATE = 0.005
STEP = 8
"""Characters that the model says at once: 80 a second."""
STEP_SECONDS = 0.1
NUM_STEPS = 60
WINDOW = 40_000

_CATEGORIES = ["toplevel", "blink.user_timing"]
_MARKED = """(() => {
  const grow = on.grow;
  on.grow = (change) => { performance.mark("update"); grow(change); };
  listen();
})()"""

Event = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Updates:
    """CPU seconds of the page's main thread, from each update until the next."""

    seconds: Sequence[float]

    def row(self, name: str, length: int) -> Row:
        shares = (percentile(self.seconds, share) * 1e3 for share in (0.5, 0.95, 1.0))
        return (
            name,
            f"{length:,}",
            str(len(self.seconds)),
            *(f"{milliseconds:.1f}" for milliseconds in shares),
        )


async def measure(quick: bool) -> list[Table]:
    replies = {"answers": one_reply()} if quick else texts()
    rows: list[Row] = []
    worst = 0.0
    with TemporaryDirectory() as folder:
        async with (
            running_page(Path(folder), window=WINDOW) as parley,
            running_browser() as browser,
        ):
            for name, text in replies.items():
                for length in LENGTHS[-1:] if quick else LENGTHS:
                    updates = await _watched(browser, parley, text[:length], quick)
                    rows.append(updates.row(name, length))
                    if name == "answers":
                        worst = max(worst, percentile(updates.seconds, 0.95))
    notes = [
        "all that the main thread of the page does, in CPU time: script, style, layout and paint",
        f"95th percentile over answers of the corpus: {worst * 1e3:.1f} ms; "
        f"expected {at_most(worst * 1e3, MAX_UPDATE * 1e3)}",
    ]
    columns = ("text", "characters", "updates", "median ms", "95th percentile ms", "worst ms")
    return [Table("An update of a growing reply in the browser", columns, rows, notes)]


async def _watched(browser: Browser, parley: PageParley, text: str, quick: bool) -> Updates:
    """While the last characters of ``text`` are said."""
    num_steps = 5 if quick else NUM_STEPS
    begun = len(text) - num_steps * STEP
    page = await browser.new_page()
    try:
        await page.goto(parley.url)
        await ask(page, "Go on.")
        generation = await parley.asked()
        generation.say(text[:begun])
        await expect(answer(page)).not_to_be_empty()
        await page.evaluate(_MARKED)
        await page.evaluate("document.activeElement.blur()")  # a caret blinks in frames of its own
        async with _Trace(page) as trace:
            for at in range(begun, len(text), STEP):
                generation.say(text[at : at + STEP])
                await asyncio.sleep(STEP_SECONDS)
        generation.finish()
        return Updates(costs(trace.events))
    finally:
        await page.close()
        parley.end()


class _Trace:
    """``events`` are there once it has ended."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._line: CDPSession | None = None
        self._ended = asyncio.Event()
        self.events: list[Event] = []

    async def __aenter__(self) -> _Trace:
        self._line = line = await self._page.context.new_cdp_session(self._page)
        line.on("Tracing.dataCollected", lambda data: self.events.extend(data["value"]))
        line.on("Tracing.tracingComplete", lambda _: self._ended.set())
        config = {"includedCategories": _CATEGORIES}
        await line.send("Tracing.start", {"transferMode": "ReportEvents", "traceConfig": config})
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._line
        await self._line.send("Tracing.end")
        await self._ended.wait()


def costs(events: Sequence[Event]) -> list[float]:
    """The CPU seconds of the tasks from each mark to the next, on the thread of the marks."""
    marks = sorted(each["ts"] for each in events if each["name"] == "update")
    threads = {(each["pid"], each["tid"]) for each in events if each["name"] == "update"}
    found = [0.0] * len(marks)
    for each in events:
        is_task = each["name"].endswith("RunTask") and each.get("ph") == "X"
        if not is_task or (each["pid"], each["tid"]) not in threads:
            continue
        at = bisect_right(marks, each["ts"] + each["dur"]) - 1
        if at >= 0:
            found[at] += each.get("tdur", each["dur"]) / 1e6
    return [cost for cost, _ in pairwise(found)]


if __name__ == "__main__":
    command.run(measure)

"""What a step of a growing reply costs on the way to messages or the page, at every length."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import mean

from adapters.web.markup.growing import GrowingPage
from bot.markdown.layout import Layout
from tests.benchmarks import command
from tests.benchmarks.figures import Row, Table, at_most
from tests.corpus.answers import answers
from tests.corpus.rendered import PAGE, PLATFORMS

STEP = 20
LENGTHS = (2_000, 10_000, 20_000)
MAX_GROWTH = 2.0
"""A step at the greatest length costs at most so many times one at the smallest."""

_WINDOW = 1_000
_COLUMNS = ("text", "platform", *(f"us at {length:,}" for length in LENGTHS), "growth")


async def measure(quick: bool) -> list[Table]:
    """CPU time: what is measured runs on one thread and waits for nothing."""
    replies = {"answers": one_reply()} if quick else texts()
    rows: list[Row] = []
    worst = 0.0
    for name, text in replies.items():
        for platform in (*PLATFORMS, PAGE):
            seconds = _steps(text, _renderer(platform))
            growth = seconds[-1] / seconds[0]
            worst = max(worst, growth if name == "answers" else 0.0)
            figures = (f"{each * 1e6:.0f}" for each in seconds)
            rows.append((name, platform, *figures, f"{growth:.1f}"))
    notes = [
        f"steps of {STEP} characters; the mean of the {_WINDOW:,} characters before each length",
        f"growth over answers of the corpus: {worst:.1f}; expected {at_most(worst, MAX_GROWTH)}",
    ]
    return [Table("Rendering a reply that grows", _COLUMNS, rows, notes)]


def _renderer(platform: str) -> Callable[[str], object]:
    if platform == PAGE:
        return GrowingPage().grow
    layout = Layout(*PLATFORMS[platform])
    return lambda text: layout.parts(text, is_growing=True)


def _steps(text: str, render: Callable[[str], object]) -> list[float]:
    """The mean CPU seconds of a step, before each of ``LENGTHS``."""
    seconds: dict[int, float] = {}
    for length in range(STEP, max(LENGTHS) + 1, STEP):
        begun = time.thread_time()
        render(text[:length])
        seconds[length] = time.thread_time() - begun
    return [
        mean(each for length, each in seconds.items() if end - _WINDOW < length <= end)
        for end in LENGTHS
    ]


def one_reply() -> str:
    """Whole answers of three languages, as one reply."""
    found = [a.markdown for a in answers() if a.language in ("en", "ja", "ar") and a.number < 25]
    return _long_enough(found, "\n\n")


def texts() -> Mapping[str, str]:
    """And replies that are one block, which is the worst that can be."""
    rows = [f"| cell {n} | some more words {n} |" for n in range(2_000)]
    return {
        "answers": one_reply(),
        "a list": _long_enough([f"- item {n} has some words" for n in range(2_000)], "\n"),
        "code": "```python\n" + _long_enough([f"print({n}, 'text')" for n in range(2_000)], "\n"),
        "a table": "| a | b |\n|---|---|\n" + _long_enough(rows, "\n"),
        "a quote": _long_enough([f"> Paragraph {n} of it.\n>" for n in range(2_000)], "\n"),
        "a paragraph": _long_enough(["Some words of a sentence."] * 2_000, " "),
    }


def _long_enough(pieces: Sequence[str], between: str) -> str:
    return between.join(pieces)[: max(LENGTHS)]


if __name__ == "__main__":
    command.run(measure)

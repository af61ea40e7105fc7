"""``kill -9`` and SIGTERM while a plan is worked out, or an answer is quoted from documents."""

from __future__ import annotations

import re
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from tests.scenarios.plug import Scene, scene

pytestmark = pytest.mark.model

PLANNER = """---
title: Planner
strategy: plan
sampling: {temperature: 0}
---
You solve tasks.
"""
LIBRARIAN = """---
title: Librarian
answers: quoted
facts: library
sampling: {temperature: 0}
---
You answer from documents.
"""
RULES = (
    "# Rules\n\n## Loans\n\nA book is lent for twenty-one days. Nobody pays for a library card.\n"
)
QUOTATION = re.compile("“(.+?)”")


@pytest.fixture
def personalities(tmp_path: Path) -> Path:
    folder = tmp_path / "own"
    (folder / "library").mkdir(parents=True)
    (folder / "planner.md").write_text(PLANNER)
    (folder / "librarian.md").write_text(LIBRARIAN)
    (folder / "library" / "rules.md").write_text(RULES)
    return folder


def a_scene(
    folder: Path, personalities: Path, personality: str
) -> AbstractAsyncContextManager[Scene]:
    return scene(
        folder,
        PARLEY_PERSONALITIES=str(personalities),
        PARLEY_PERSONALITY=personality,
        PARLEY_DRAIN_SECONDS="0",
        PARLEY_MAX_TOKENS="48",
    )


async def cut_short(it: Scene, question: str, *beginnings: str) -> list[str]:
    """The reply's text after ``kill -9``, and another's after SIGTERM, each in its own message."""
    ends = []
    for end, attempts in ((it.parley.kill, 1), (it.parley.stop, 0)):
        it.slow_down()
        ts = await it.ask(question)
        await it.sees(ts, *beginnings)
        await end()
        it.hurry()
        assert it.turn(ts).attempts == attempts
        (begun,) = it.replies(ts)
        await it.parley.start()
        turn = await it.ends_well(ts)
        assert turn.posts == (begun["ts"],)
        ends.append(turn.reply)
    return ends


async def test_a_plan_that_was_cut_short_is_worked_out_in_the_same_message(
    personalities: Path, tmp_path: Path
) -> None:
    async with a_scene(tmp_path, personalities, "planner") as it:
        ends = await cut_short(it, "Plan a school fair.", "Planning…")
    assert all(ends)


async def test_a_quoted_answer_that_was_cut_short_is_quoted_in_the_same_message(
    personalities: Path, tmp_path: Path
) -> None:
    async with a_scene(tmp_path, personalities, "librarian") as it:
        ends = await cut_short(
            it, "For how long is a book lent?", "Thinking…", "Reading the documents…"
        )
    for end in ends:
        assert end.startswith(("> “", "I did not find this"))
        assert all(quotation in RULES for quotation in QUOTATION.findall(end))

"""The reason that a reply ended, its text and its tokens agree, whenever the text is looked at.

The engine looks at tokens in every step and at text only now and then; while ``looks_rarely``
only at the end.
"""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from bot.generation import Finished, FinishReason
from bot.inference.core.model import NoRoom
from tests.bot.inference.engine.test_service import engine, request
from tests.bot.inference.streams import read
from tests.fakes.model import LOST, FakeModel, broken_step

LOOP = "ha ha, " * 200


@pytest.fixture(params=[True, False])
def looks_rarely(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param:
        stopped = SimpleNamespace(monotonic=lambda: 100.0, perf_counter=time.perf_counter)
        monkeypatch.setattr("bot.inference.engine.replies.time", stopped)


async def ended(model: FakeModel, *stop: str, limit: int = 2_000) -> tuple[str, Finished]:
    async with engine(model) as service:
        return await read(await service.generate(request(stop=stop, limit=limit)))


@pytest.mark.usefixtures("looks_rarely")
@pytest.mark.parametrize(
    ("said", "limit", "stop", "text", "num_tokens"),
    [
        ("1. Red\n2. Blue", 4, "1.", "", 2),
        ("1. Red\n2. Blue", 7, "\n", "1. Red", 7),
        ("One. STOP two", 2_000, "STOP", "One. ", 9),
        ("One. STOP", 9, "STOP", "One. ", 9),
        (f"One. STOP{LOOP}", 2_000, "STOP", "One. ", 9),
        (f"One. STOP two{LOST}", 2_000, "STOP", "One. ", 9),
        ("<think>STOP?</think>Yes. STOP no", 2_000, "STOP", "Yes. ", 29),
    ],
)
async def test_a_stop_string_ends_the_reply_whatever_comes_after_it(
    said: str, limit: int, stop: str, text: str, num_tokens: int
) -> None:
    shown, finished = await ended(FakeModel(lambda _: said, window=3_000), stop, limit=limit)
    assert (shown, finished.reason, finished.detail) == (text, FinishReason.STOP, "")
    assert finished.usage.completion_tokens == num_tokens
    assert finished.num_repeated == 0


@pytest.mark.usefixtures("looks_rarely")
@pytest.mark.parametrize(
    ("said", "limit", "reason"),
    [
        ("One. STO", 2_000, FinishReason.STOP),
        ("One. STO", 8, FinishReason.LENGTH),
        ("One. STOP", 8, FinishReason.LENGTH),
        (LOOP, 2_000, FinishReason.LOOPED),
        (f"One. STO{LOST}", 2_000, FinishReason.ERROR),
    ],
)
async def test_without_the_stop_string_the_reply_ends_as_its_tokens_did(
    said: str, limit: int, reason: FinishReason
) -> None:
    model = FakeModel(lambda _: said, window=3_000, num_cells=3_000)
    shown, finished = await ended(model, "STOP", limit=limit)
    assert finished.reason is reason
    assert said.startswith(shown)
    assert finished.usage.completion_tokens == len(shown)
    assert bool(finished.detail) == (reason is FinishReason.ERROR)


@pytest.mark.usefixtures("looks_rarely")
@pytest.mark.parametrize("failure", [broken_step(), NoRoom()])
async def test_a_reply_that_was_whole_before_the_engine_failed_is_whole(
    failure: Exception,
) -> None:
    model = FakeModel(lambda _: _fails_after(model, failure, "One. STOP two three four"))
    shown, finished = await ended(model, "STOP")
    assert (shown, finished.reason, finished.detail) == ("One. ", FinishReason.STOP, "")


def _fails_after(model: FakeModel, failure: Exception, said: str) -> str:
    """The step after the one that samples the letter behind the stop string fails."""
    if len(model.steps) == 12:
        model.failures.append(failure)
    return said

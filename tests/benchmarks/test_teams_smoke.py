"""The benchmarks of Teams measure what they say; how fast Parley is, they tell when run."""

from __future__ import annotations

import pytest

from tests.benchmarks import teams_visible
from tests.benchmarks.teams_visible import _lags, _Run
from tests.fakes.clock import FakeClock
from tests.fakes.generator import ScriptedGenerator
from tests.fakes.teams import FakeTeams


def test_the_lag_of_a_word_is_from_when_it_was_there_to_when_it_was_seen() -> None:
    run = _Run(FakeTeams(FakeClock()), ScriptedGenerator(), {"q0": [1.0, 2.0, 3.0]})
    run.teams.shown = [(4.0, "m", "q0w0 q0w1"), (9.0, "m", "q0w0 q0w1 q0w2")]
    assert list(_lags(run)) == [3.0, 2.0, 6.0]


async def test_every_word_of_every_reply_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teams_visible, "WORD_SECONDS", 0.001)
    row = await teams_visible._row(2, "threads of one channel", 5)
    assert row[:2] == ("2", "threads of one channel")
    assert all(cell.endswith("met") for cell in row[-3:])

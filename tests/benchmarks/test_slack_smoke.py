"""The benchmark of Slack measures what it says; how fast Parley is, it tells when run."""

from __future__ import annotations

import pytest

from tests.benchmarks import slack_visible
from tests.benchmarks.slack_visible import SlackRun, _lags
from tests.fakes.clock import FakeClock
from tests.fakes.generator import ScriptedGenerator
from tests.fakes.slack import FakeSlack


def test_the_lag_of_a_word_is_from_when_it_was_there_to_when_it_was_seen() -> None:
    run = SlackRun(FakeSlack(FakeClock()), ScriptedGenerator(), {"q0": [1.0, 2.0, 3.0]})
    run.slack.shown = [(4.0, "m", "q0w0 q0w1"), (9.0, "m", "q0w0 q0w1 q0w2")]
    assert list(_lags(run)) == [3.0, 2.0, 6.0]


@pytest.mark.parametrize("how", slack_visible.WAYS)
async def test_every_word_of_every_reply_is_counted(
    monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(slack_visible, "WORD_SECONDS", 0.001)
    row = await slack_visible._row(2, how, 5)
    assert row[:2] == ("2", how)
    assert row[-1].endswith("met")

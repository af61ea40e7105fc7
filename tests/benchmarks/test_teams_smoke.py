"""The benchmarks of Teams measure what they say; how fast Parley is, they tell when run."""

from __future__ import annotations

from tests.benchmarks import teams_visible
from tests.benchmarks.spoken import SpokenReplies


def test_the_lag_of_a_word_is_from_when_it_was_there_to_when_it_was_seen() -> None:
    replies = SpokenReplies(3, 0.0)
    replies.said_at = {"q0": [1.0, 2.0, 3.0]}
    shown = [(4.0, "m", "q0w0 q0w1"), (9.0, "m", "q0w0 q0w1 q0w2")]
    assert replies.lags(shown) == [3.0, 2.0, 6.0]


async def test_every_word_of_every_reply_is_counted() -> None:
    row = await teams_visible.row(2, "threads of one channel", SpokenReplies(5, 0.001))
    assert row[:2] == ("2", "threads of one channel")
    assert all(cell.endswith("met") for cell in row[-3:])

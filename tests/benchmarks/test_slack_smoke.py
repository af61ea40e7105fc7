"""The benchmark of Slack measures what it says; how fast Parley is, it tells when run."""

from __future__ import annotations

import pytest

from tests.benchmarks import slack_visible
from tests.benchmarks.spoken import SpokenReplies


@pytest.mark.parametrize("how", slack_visible.WAYS)
async def test_every_word_of_every_reply_is_counted(how: str) -> None:
    row = await slack_visible.row(2, how, SpokenReplies(5, 0.001))
    assert row[:2] == ("2", how)
    assert row[-1].endswith("met")

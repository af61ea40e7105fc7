"""The benchmark of Slack measures what it says; how fast Parley is, it tells when run."""

from __future__ import annotations

import pytest

from tests.benchmarks import acks, slack_visible
from tests.benchmarks.spoken import SpokenReplies
from tests.scenarios.parley import CACHE, SIZE


@pytest.mark.parametrize("how", slack_visible.WAYS)
async def test_every_word_of_every_reply_is_counted(how: str) -> None:
    row = await slack_visible.row(2, how, SpokenReplies(5, 0.001))
    assert row[:2] == ("2", how)
    assert row[-1].endswith("met")


@pytest.mark.model
async def test_every_event_is_acknowledged_over_socket_mode_while_the_model_is_busy() -> None:
    size = {**SIZE, "XDG_CACHE_HOME": CACHE}
    found = await acks.table(0.4, 50, uses_socket_mode=True, num_replies=1, **size)
    (whole,) = [row for row in found.rows if row[0] == "all"]
    assert whole[1] == "20"
    assert float(whole[found.columns.index("p99 ms")]) > 0
    (on_disk,) = [note for note in found.notes if "on disk" in note]
    _, stored, _, checked = on_disk.rsplit(maxsplit=3)
    assert stored == checked != "0"
    assert not any("NOT ANSWERED" in note for note in found.notes)

"""The benchmarks of Discord run; their figures mean something only when nothing else does."""

from __future__ import annotations

import pytest

from tests.benchmarks import discord_defer, discord_guilds, discord_visible


@pytest.mark.model
async def test_a_start_with_many_servers_is_measured() -> None:
    (table,) = await discord_guilds.measure(quick=True)
    ((servers, channels, shards, seconds, memory),) = table.rows
    assert (servers, channels, shards) == ("20", "600", "1")
    assert float(seconds) > 0
    assert float(memory) > 50


async def test_from_token_to_visible_is_measured_in_one_channel_and_in_many() -> None:
    (table,) = await discord_visible.measure(quick=True)
    assert [row[:2] for row in table.rows] == [("2", "1"), ("2", "2")]
    assert all(float(row[2]) >= 0 for row in table.rows)
    assert all(row[-1] == "<= 0: met" for row in table.rows)


def test_interactions_that_were_not_acknowledged_in_time_miss_the_mark() -> None:
    in_time = discord_defer._row([0.1] * 50, 50, 0)
    assert in_time[-1] == "<= 500: met"
    late = discord_defer._row([0.1] * 49, 50, 0)
    assert (late[4], late[-1]) == ("1", "<= 500: MISSED")

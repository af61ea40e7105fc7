"""``make bench``: every benchmark, one after the other."""

from __future__ import annotations

from tests.benchmarks import (
    acks,
    burst,
    cold_return,
    command,
    discord_defer,
    discord_guilds,
    discord_visible,
    floor,
    grammar,
    lag,
    stop,
    teams_visible,
    teams_webhook,
)

if __name__ == "__main__":
    command.run(
        burst.measure,
        floor.measure,
        grammar.measure,
        acks.measure,
        lag.measure,
        stop.measure,
        cold_return.measure,
        teams_webhook.measure,
        teams_visible.measure,
        discord_defer.measure,
        discord_visible.measure,
        discord_guilds.measure,
    )

"""``make bench``: every benchmark, one after the other."""

from __future__ import annotations

from tests.benchmarks import (
    acks,
    burst,
    cold_return,
    command,
    crowd,
    discord_defer,
    discord_guilds,
    discord_visible,
    floor,
    grammar,
    lag,
    long_paste,
    looped,
    memory,
    neighbours,
    prompts,
    rendering,
    start,
    stop,
    teams_visible,
    teams_webhook,
    threads,
)

if __name__ == "__main__":
    command.run(
        burst.measure,
        threads.measure,
        long_paste.measure,
        prompts.measure,
        cold_return.measure,
        crowd.measure,
        looped.measure,
        floor.measure,
        grammar.measure,
        stop.measure,
        memory.measure,
        neighbours.measure,
        acks.measure,
        lag.measure,
        teams_webhook.measure,
        teams_visible.measure,
        discord_defer.measure,
        discord_visible.measure,
        discord_guilds.measure,
        rendering.measure,
        start.measure,
    )

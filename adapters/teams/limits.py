"""What Teams allows."""

from __future__ import annotations

from bot.types import Limits, RateRule

_CALLS = frozenset({"post", "edit", "delete", "typing"})
LIMITS = Limits(
    max_size=20_000,
    rules=(
        RateRule(_CALLS, "channel", 7, 1.0),
        RateRule(_CALLS, "channel", 8, 2.0),
        RateRule(_CALLS, "channel", 60, 30.0),
        RateRule(_CALLS, "channel", 1800, 3600.0),
        RateRule(_CALLS, "workspace", 50, 1.0),
    ),
    edit_interval=2.0,
    ack_deadline=15.0,
)
"""Teams counts a channel, with all of its threads, as one conversation."""

"""What can become of a call to Discord: refused, failed, dropped, left without an answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.fakes.discord_guild import Json


@dataclass(frozen=True, slots=True)
class Fault:
    """What becomes of one call. ``happens``: it takes effect nevertheless."""

    status: int = 0
    body: Json | str = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    drops: bool = False
    hangs: bool = False
    happens: bool = False


FAILS = Fault(500, {"message": "Internal Server Error", "code": 0})
OVERLOADED = Fault(503, "upstream connect error")
DROPS = Fault(drops=True)
DROPS_AFTER = Fault(drops=True, happens=True)
HANGS = Fault(hangs=True)


def rate_limited(seconds: float, *, is_global: bool = False) -> Fault:
    """A 429 of Discord's own, which says how long."""
    body = {"message": "You are being rate limited.", "retry_after": seconds, "global": is_global}
    return Fault(429, body, {"Via": "1.1 google", "Retry-After": str(seconds)})


def banned(seconds: float) -> Fault:
    """A 429 from in front of Discord: without ``Via``."""
    return Fault(429, "error code: 1015", {"Retry-After": str(seconds)})

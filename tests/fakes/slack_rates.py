"""How often Slack lets an app call, and the pauses it asks for: of each method in a workspace.

Slack does not say how it counts within its minute; here it is a window that slides, the strictest.
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import Any

from bot.ports import Clock
from tests.fakes.slack_panel import Refused

Json = dict[str, Any]
Key = tuple[str, str]

# "`chat.update` Tier 3 (50 and more a minute per method, per workspace, so shared by every reply
# in flight)"; the others by the tier that the page of their method names.
_PER_MINUTE = {
    "chat.update": 50,
    "chat.delete": 50,
    "chat.postEphemeral": 100,
    "conversations.replies": 50,
    "reactions.add": 50,
    "reactions.remove": 20,
    "users.info": 100,
    "views.publish": 100,
}
# "`chat.postMessage` about 1 a second per channel"
_PER_CHANNEL = {"chat.postMessage": (1, 1.0)}
_IN_FLIGHT_SECONDS = 0.5
"""What was sent before Slack's 429 was read may still come."""
_ROUNDING = 0.01


class FakeRates:
    """``counts_all``: not edits alone are counted. Without it a test calls as fast as it likes.

    ``violations``: calls within a pause that Slack asked for. ``refused``: the methods that got
    a 429 by the rates.
    """

    def __init__(self, clock: Clock, update_limit: int, violations: list[str]) -> None:
        self._clock = clock
        self._limits = {**_PER_MINUTE, "chat.update": update_limit}
        self._violations = violations
        self._charged: defaultdict[Key, deque[float]] = defaultdict(deque)
        self._pauses: dict[Key, tuple[float, float]] = {}
        self.counts_all = False
        self.refused: list[str] = []

    def charge(self, method: str, arguments: Json) -> None:
        """Raises ``Refused`` with the seconds until the next call."""
        if not (self.counts_all or method == "chat.update"):
            return
        most, seconds = _PER_CHANNEL.get(method, (self._limits.get(method), 60.0))
        if most is None:
            return
        charged, now = self._charged[_key(method, arguments)], self._clock.monotonic()
        while charged and charged[0] <= now - seconds:
            charged.popleft()
        if len(charged) >= most:
            self.refused.append(method)
            raise Refused("ratelimited", int(charged[0] + seconds + 1 - now))
        charged.append(now)

    def pause(self, method: str, arguments: Json, seconds: float) -> None:
        """Slack asked for it: "429 comes with `Retry-After`"."""
        now = self._clock.monotonic()
        self._pauses[_key(method, arguments)] = now + _IN_FLIGHT_SECONDS, now + seconds

    def look_at(self, method: str, arguments: Json) -> None:
        """A call has come."""
        begin, end = self._pauses.get(_key(method, arguments), (0.0, 0.0))
        now = self._clock.monotonic()
        if self.counts_all and begin < now < end - _ROUNDING:
            self._violations.append(f"{method} {end - now:.1f} s before its Retry-After")


def _key(method: str, arguments: Json) -> Key:
    return method, arguments.get("channel", "") if method in _PER_CHANNEL else ""

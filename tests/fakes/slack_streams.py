"""Slack's native streams and sessions, as far as its documentation and its users tell of them."""

from __future__ import annotations

from collections import deque
from typing import Any

from bot.ports import Clock
from tests.fakes.slack_panel import Refused

Json = dict[str, Any]

LIFETIME = 300.0  # "Closes after about 5 minutes even if active"
MAX_CHUNK = 12_000  # "`markdown_text` 12,000"
# "`chat.appendStream` Tier 4 (100 and more)"; the others by the pages of their methods: Tiers 2, 3.
_PER_MINUTE = {"start": 20, "append": 100, "stop": 20, "session": 50}

STATUSES = ("active", "processing", "suspended", "closed")


class FakeStreams:
    """``has_streams`` and ``has_sessions``: whether the workspace knows these methods at all.

    ``streaming``: of each message that streams, when it was opened. ``sessions``: the status of
    each thread. ``is_subscribed``: to the event of the stop button.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.has_streams = self.has_sessions = False
        self.is_subscribed = True
        self.streaming: dict[tuple[str, str], float] = {}
        self.stopped_by_user: set[tuple[str, str]] = set()
        self.sessions: dict[tuple[str, str], list[str]] = {}
        self.num_streams_limited = 0
        self._cards: dict[tuple[str, str], dict[str, str]] = {}
        self._texts: dict[tuple[str, str], str] = {}
        self._charged: dict[str, deque[float]] = {name: deque() for name in _PER_MINUTE}

    def check_start(self, arguments: Json) -> None:
        """Raises what Slack refuses; whether the channel and the thread exist, others know."""
        if not self.has_streams:
            raise Refused("unknown_method")
        # "in channels also `recipient_user_id` and `recipient_team_id`"; bots find that they are
        # required in direct messages, too.
        for name in ("recipient_team_id", "recipient_user_id"):
            if not arguments.get(name):
                raise Refused(f"missing_{name}")
        # "Needs `thread_ts`"
        if not arguments.get("thread_ts"):
            raise Refused("missing_thread_ts")
        # Its page: no block and no metadata; the method knows no such arguments.
        if "blocks" in arguments or "metadata" in arguments:
            raise Refused("invalid_arguments")
        self._charge("start")  # Tier 2

    def start(self, key: tuple[str, str], arguments: Json) -> str:
        """The text that people see."""
        self.streaming[key] = self._clock.monotonic()
        self._cards[key], self._texts[key] = {}, ""
        return self._add(key, arguments)

    def append(self, key: tuple[str, str], arguments: Json) -> str:
        self._check_streaming(key)
        if not (arguments.get("chunks") or arguments.get("markdown_text")):
            raise Refused("no_text")
        self._charge("append")  # Tier 4
        return self._add(key, arguments)

    def stop(self, key: tuple[str, str], arguments: Json) -> str:
        self._check_streaming(key)
        self._charge("stop")  # Tier 2
        shown = self._add(key, arguments)
        del self.streaming[key]
        return shown

    def settle(self, thread: tuple[str, str], arguments: Json) -> None:
        """Its page: "The session status to set after stopping the stream. Default: active"."""
        status = arguments.get("session_status", "active")
        if status not in STATUSES:
            raise Refused("invalid_arguments")
        if self.has_sessions:
            self.sessions.setdefault(thread, []).append(status)

    def is_streaming(self, key: tuple[str, str]) -> bool:
        """ "(`message_not_in_streaming_state`): roll over or go on [...] before 4.5 minutes"."""
        opened_at = self.streaming.get(key)
        if opened_at is not None and self._clock.monotonic() - opened_at > LIFETIME:
            del self.streaming[key]
        return key in self.streaming

    def press_stop(self, key: tuple[str, str]) -> None:
        """Slack itself ends the stream; "`stopped_by_user` on append means stop"."""
        self.streaming.pop(key, None)
        self.stopped_by_user.add(key)

    def set_status(self, arguments: Json) -> Json:
        """ "apps declared as agents set `agents.sessions.setStatus` to `processing` [...], and must
        themselves move the session on"."""
        if not self.has_sessions:
            raise Refused("unknown_method")
        if arguments.get("status") not in STATUSES:
            raise Refused("invalid_status")
        # Its page: "Required for thread-based sessions in regular channels and DMs."
        if not (arguments.get("channel_id") and arguments.get("thread_ts")):
            raise Refused("missing_thread_ts")
        self._charge("session")  # Tier 3
        thread = arguments["channel_id"], arguments["thread_ts"]
        self.sessions.setdefault(thread, []).append(arguments["status"])
        answer: Json = {"status": arguments["status"]}
        # "Without the subscription the method answers with a warning and people see a plain loader"
        if not self.is_subscribed:
            answer["warning"] = "missing_agent_session_stopped_event_subscription"
        return answer

    def _check_streaming(self, key: tuple[str, str]) -> None:
        if not self.has_streams:  # "Latch off on `feature_not_enabled`, `unknown_method`, ..."
            raise Refused("unknown_method")
        if key in self.stopped_by_user:
            raise Refused("stopped_by_user")
        if not self.is_streaming(key):
            raise Refused("message_not_in_streaming_state")

    def _add(self, key: tuple[str, str], arguments: Json) -> str:
        """Cards stand above the text; people report that white space between pieces is lost."""
        # The method's page: both "cannot be used together".
        if arguments.get("chunks") and arguments.get("markdown_text"):
            raise Refused("invalid_arguments")
        text = arguments.get("markdown_text") or ""
        for chunk in arguments.get("chunks") or ():
            match chunk:
                case {"type": "markdown_text", "text": str(more)}:
                    text += more
                case {"type": "task_update", "id": id_, "title": title, "status": _}:
                    self._cards[key][id_] = title
                case _:
                    raise Refused("invalid_chunks")
        if len(text) > MAX_CHUNK:  # of each call, not of the message
            raise Refused("msg_too_long")
        self._texts[key] += text.lstrip()
        return "\n".join([*self._cards[key].values(), *filter(None, [self._texts[key]])])

    def _charge(self, name: str) -> None:
        charged, now = self._charged[name], self._clock.monotonic()
        while charged and charged[0] <= now - 60:
            charged.popleft()
        if len(charged) >= _PER_MINUTE[name]:
            self.num_streams_limited += 1
            raise Refused("ratelimited", int(charged[0] + 61 - now))
        charged.append(now)

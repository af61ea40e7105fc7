"""Slack's sessions of agents: while a reply is under way, Slack itself shows a loader and Stop."""

from __future__ import annotations

import asyncio
import logging

from adapters.slack.assistant.slots import Slots
from adapters.slack.assistant.streams import Call
from bot.errors import PlatformError, RateLimited, Unavailable
from bot.ports import Clock
from bot.types import Place

logger = logging.getLogger(__name__)

_NUM_SLOTS = 23
"""Replies that begin or end in a minute, with a call for each; Slack grants 50 calls."""

_MAX_AGE = 900.0
_UNDER_WAY, _ENDED = "processing", "active"
_TRIES, _RETRY_SECONDS = 3, 1.0
_MAX_REFUSING = 3
_LAST_SECONDS = 1.0
_UNSUBSCRIBED = "missing_agent_session_stopped_event_subscription"


class AgentSessions:
    """Decoration: nothing waits for it. Off for the process's life where Slack only refuses it."""

    def __init__(self, call: Call, clock: Clock) -> None:
        self._call = call
        self._clock = clock
        self._slots = Slots(_NUM_SLOTS, clock, max_age=_MAX_AGE)
        self._last: dict[Place, asyncio.Task[None]] = {}
        self._growing: dict[Place, set[str]] = {}
        self._under_way: set[Place] = set()  # as far as Slack was told
        self._is_on = True
        self._refusing: set[Place] = set()
        self._has_warned = False

    @property
    def going_on(self) -> dict[str, str]:
        """For the end of a stream in whose thread something goes on: else Slack takes Stop away."""
        return {"session_status": _UNDER_WAY} if self._is_on else {}

    def begin(self, place: Place, ts: str) -> None:
        """A message of a reply grows, which an earlier process may have begun."""
        if not (place.thread and self._is_on):
            return
        self._growing.setdefault(place, set()).add(ts)
        self._tell(place)

    def go_on(self, place: Place, ts: str, *, is_said: bool) -> None:
        """By edits, after a stream, whose end said so; else it is not known what Slack shows."""
        (self._under_way.add if is_said else self._under_way.discard)(place)
        self.begin(place, ts)

    def _tell(self, place: Place) -> None:
        if place not in self._under_way and self._slots.take(place):
            self._under_way.add(place)
            self._enqueue(place, _UNDER_WAY)

    def is_last(self, place: Place, ts: str) -> bool:
        """Whether nothing else grows in the thread."""
        return not self._growing.get(place, set()) - {ts}

    def end(self, place: Place, ts: str, said: str = "") -> None:
        """Of an earlier process's message, too, which begins nothing here.

        Where it was said here that one is under way, it is said in any case that the last has
        ended. ``said``: the status that came with the end of its stream.
        """
        if said == _UNDER_WAY:
            self._under_way.add(place)
        elif said:
            self._under_way.discard(place)
        if not self.is_last(place, ts):
            self._growing[place].discard(ts)
            self._tell(place)  # another may have begun meanwhile
            return
        self._growing.pop(place, None)
        is_under_way = place in self._under_way
        self._under_way.discard(place)
        if place.thread and self._is_on and (self._slots.take(place) or is_under_way):
            self._slots.end(place)
            if said != _ENDED or place in self._last:
                self._enqueue(place, _ENDED)

    def drop(self, place: Place, ts: str, said: str = "") -> None:
        """It grows no more, if it did."""
        if ts in self._growing.get(place, ()):
            self.end(place, ts, said)

    async def close(self) -> None:
        """What Slack does not take soon stays unsaid."""
        if tasks := set(self._last.values()):
            await asyncio.wait(tasks, timeout=_LAST_SECONDS)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _enqueue(self, place: Place, status: str) -> None:
        """In order for each thread, so that the last word is the last."""
        before = self._last.get(place)
        task = asyncio.create_task(self._set(place, status, before))
        self._last[place] = task
        task.add_done_callback(lambda done: self._forget(place, done))

    def _forget(self, place: Place, done: asyncio.Task[None]) -> None:
        if self._last.get(place) is done:
            del self._last[place]

    async def _set(self, place: Place, status: str, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait({before})
        for _ in range(_TRIES if status == _ENDED else 1):
            await self._clock.sleep(self._slots.pause_left)
            if not self._is_on or await self._is_set(place, status):
                return

    async def _is_set(self, place: Place, status: str) -> bool:
        """False where it may be tried again, after a pause."""
        where = {"channel_id": place.channel, "thread_ts": place.thread}
        try:
            answer = await self._call("agents.sessions.setStatus", **where, status=status)
        except RateLimited as error:
            self._slots.pause(error.retry_after)
            if status == _UNDER_WAY:
                self._under_way.discard(place)
            return False
        except Unavailable as error:
            logger.debug("a session of Slack's was not set: %s", error)
            self._slots.pause(_RETRY_SECONDS)
            return False
        except PlatformError as error:
            self._refuse(place, error)
        else:
            self._refusing.clear()
            self._warn(str(answer.get("warning", "")))
        return True

    def _refuse(self, place: Place, error: PlatformError) -> None:
        """One thread that has none, or is gone, takes them from no other."""
        self._refusing.add(place)
        if self._is_on and len(self._refusing) >= _MAX_REFUSING:
            self._is_on = False
            logger.info("Slack shows no Stop of its own, for it has no sessions here: %s", error)

    def _warn(self, warning: str) -> None:
        if _UNSUBSCRIBED in warning and not self._has_warned:
            self._has_warned = True
            logger.warning("Slack's own Stop is missing: subscribe to agent_session_stopped")

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
_UNSUBSCRIBED = "missing_agent_session_stopped_event_subscription"


class AgentSessions:
    """Decoration: nothing waits for it. Off for the process's life once Slack refuses it."""

    def __init__(self, call: Call, clock: Clock) -> None:
        self._call = call
        self._slots = Slots(_NUM_SLOTS, clock, max_age=_MAX_AGE)
        self._last: dict[Place, asyncio.Task[None]] = {}
        self._under_way: set[Place] = set()
        self._is_on = True
        self._has_warned = False

    def begin(self, place: Place) -> None:
        """A reply begins, or goes on in another message or in another way."""
        if place.thread and self._is_on and self._slots.take(place):
            self._under_way.add(place)
            self._enqueue(place, "processing")

    def go_on(self, place: Place) -> None:
        """A reply grows, which an earlier process may have begun, or which had ended before."""
        if place not in self._under_way:
            self.begin(place)

    def end(self, place: Place) -> None:
        """Of an earlier process's reply, too, which begins nothing here."""
        self._under_way.discard(place)
        if place.thread and self._is_on and self._slots.take(place):
            self._slots.end(place)
            self._enqueue(place, "active")

    async def close(self) -> None:
        await asyncio.gather(*self._last.values())

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
        if not self._is_on:
            return
        where = {"channel_id": place.channel, "thread_ts": place.thread}
        try:
            answer = await self._call("agents.sessions.setStatus", **where, status=status)
        except RateLimited as error:
            self._slots.pause(error.retry_after)
        except Unavailable as error:
            logger.debug("a session of Slack's was not set: %s", error)
        except PlatformError as error:
            self._is_on = False
            logger.info("Slack shows no Stop of its own, for it has no sessions here: %s", error)
        else:
            self._warn(str(answer.get("warning", "")))

    def _warn(self, warning: str) -> None:
        if _UNSUBSCRIBED in warning and not self._has_warned:
            self._has_warned = True
            logger.warning("Slack's own Stop is missing: subscribe to agent_session_stopped")

"""Slack's own streaming of replies: text that is appended, and never changed, for five minutes.

A stream takes Markdown; its end is always settled by an edit, whose text is the whole reply. So
nothing is lost or doubled whatever becomes of the stream: where Slack accepts no more of it, where
the text has changed, or where it is not known what arrived, it is ended, and edits go on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import unquote

from adapters.slack.api.people import is_bot
from adapters.slack.assistant.markdown import settled, words
from adapters.slack.assistant.slots import Slots
from adapters.slack.mrkdwn.markup import SlackText
from bot.adapter_support.payloads import text_of
from bot.errors import (
    MessageGone,
    MessageTooLong,
    NotPermitted,
    PlatformError,
    PlatformRefused,
    RateLimited,
    ReplyStopped,
    Unavailable,
)
from bot.markdown.tree import Block
from bot.ports import Clock
from bot.types import Label, Person, Place, Rendered

logger = logging.getLogger(__name__)

MAX_AGE = 265.0
"""Seconds after which edits go on; Slack closes a stream after about 300, however busy it is."""

UNKNOWN_HERE = frozenset({"feature_not_enabled", "unknown_method", "not_allowed_token_type"})
"""The workspace, the token or the server has no such method: it is not tried again."""

_NUM_SLOTS = 18
"""Starts a minute, and ends a minute; Slack grants 20 of each to a workspace."""

_STOPPED = "stopped_by_user"
_MAX_REFUSING = 1000
_MAX_TITLE = 250
_ANSWERING = "Answering…"

Call = Callable[..., Awaitable[dict[str, Any]]]
"""``SlackClient.call``."""

GoingOn = Callable[[], dict[str, str]]
"""What the end of a stream is to say of its thread, in which something goes on."""


class SlackStream:
    """One message that streams. ``is_over``: Slack takes no more of it, and it can be edited.

    ``going_on``: what its end says where edits go on; ``is_left``: and it was said.
    """

    def __init__(
        self, call: Call, clock: Clock, place: Place, label: Label, going_on: GoingOn
    ) -> None:
        self.label = label
        self._going_on = going_on
        self._call = call
        self._clock = clock
        self._where = {"channel": place.channel}
        self._sent = ""
        self._title = ""
        self._opened_at = clock.monotonic()
        self.ts = ""
        self.is_over = self.is_left = False

    @property
    def is_old(self) -> bool:
        return self._clock.monotonic() - self._opened_at > MAX_AGE

    async def open(self, place: Place, text: Rendered, team: str, *, is_text: bool) -> str:
        """``team``: the asker's workspace."""
        who = {"recipient_user_id": _asker(self.label), "recipient_team_id": team}
        chunks = self._chunks_of(text) if is_text else self._waiting(text)
        more = {"chunks": chunks} if chunks else {}
        answer = await self._call(
            "chat.startStream", **self._where, thread_ts=place.thread, **who, **more
        )
        self.ts = text_of(answer, "ts")
        if not self.ts:
            raise Unavailable("Slack's answer lacks ts.", ambiguous=True)
        self._sent = settled(_blocks(text)) if is_text else ""
        return self.ts

    async def grow(self, text: Rendered, *, is_text: bool) -> None:
        """Raises ``Unavailable`` once it is over: nothing more was sent, and edits go on."""
        if self.is_old or (is_text and self._has_changed(text)):
            await self.leave()
        title = self._title
        chunks = self._chunks_of(text) if is_text else self._waiting(text)
        if not chunks:
            return
        try:
            await self._call("chat.appendStream", **self._where, ts=self.ts, chunks=chunks)
        except PlatformRefused as error:
            if error.code == _STOPPED:
                self.is_over = True
                raise ReplyStopped("The person stopped the reply in Slack.") from None
            await self.leave()
        except MessageTooLong:
            await self.leave()
        except (RateLimited, Unavailable) as error:
            self._title = title
            if isinstance(error, RateLimited) or not error.ambiguous:
                raise
            await self.leave()
        if is_text:
            self._sent = settled(_blocks(text))

    def _has_changed(self, text: Rendered) -> bool:
        """Less may be settled than before: then nothing is appended."""
        now = settled(_blocks(text))
        return not (now.startswith(self._sent) or self._sent.startswith(now))

    async def leave(self) -> None:
        """End it with what it shows, and say so: edits go on."""
        self.is_left = await self.stop(**self._going_on())
        raise Unavailable("A stream of Slack's is over.", ambiguous=False)

    async def stop(self, **more: str) -> bool:
        """Whether or not it streamed, the message can be edited after this.

        True if it was ended just now. Raises ``RateLimited`` and ``MessageGone``.
        """
        if self.is_over:
            return False
        is_ended = await stop_stream(self._call, self._where["channel"], self.ts, **more)
        self.is_over = True
        return is_ended

    def _waiting(self, text: Rendered) -> list[dict[str, str]]:
        title = words(_blocks(text))[:_MAX_TITLE]
        return self._titled(title)

    def _chunks_of(self, text: Rendered) -> list[dict[str, str]]:
        more = settled(_blocks(text))[len(self._sent) :]
        if not more:
            return []
        # A card whose step goes on says no longer that the reply waits.
        card = self._titled(_ANSWERING) if self._title else []
        return [*card, {"type": "markdown_text", "text": more}]

    def _titled(self, title: str) -> list[dict[str, str]]:
        if not title or title == self._title:
            return []
        self._title = title
        return [{"type": "task_update", "id": "reply", "title": title, "status": "in_progress"}]


class Streams:
    """Whether and where replies stream, and those that do.

    Off for the process's life once Slack says that there is no such thing here. ``teams``: the
    workspaces of people.
    """

    def __init__(
        self, call: Call, clock: Clock, teams: Mapping[str, str], going_on: GoingOn
    ) -> None:
        self._going_on = going_on
        self._call = call
        self._teams = teams
        self._clock = clock
        self._slots = Slots(_NUM_SLOTS, clock, max_age=2 * MAX_AGE)
        self._open: dict[str, SlackStream] = {}
        self._refusing: set[str] = set()
        self._failed: set[tuple[str, int]] = set()
        self.is_on = True

    def of(self, ts: str) -> SlackStream | None:
        return self._open.get(ts)

    async def open(
        self, place: Place, text: Rendered, label: Label, *, is_text: bool
    ) -> str | None:
        """The message that streams; None where a plain message is to be posted.

        Raises ``Unavailable`` where it may stream: it is not tried again for this message.
        """
        key = (label.turn_id, label.part)
        if not self._may_open(place, label) or not self._slots.take(key):
            return None
        stream = SlackStream(self._call, self._clock, place, label, self._going_on)
        try:
            team = self._teams.get(_asker(label), place.workspace)
            ts = await stream.open(place, text, team, is_text=is_text)
        except RateLimited as error:
            self._slots.pause(error.retry_after)
        except Unavailable:
            self._remember(self._failed, key)
            raise
        except (PlatformRefused, NotPermitted, MessageGone, MessageTooLong) as error:
            if _is_of_this_one(error):
                self._remember(self._failed, key)
            else:
                self._do_without(place, error)
        else:
            self._open[ts] = stream
            return ts
        return None

    def forget(self, ts: str, label: Label) -> None:
        """Its reply has ended, or another message took its place."""
        self._open.pop(ts, None)
        self._slots.end((label.turn_id, label.part))

    async def close(self) -> None:
        """A later process edits these messages."""
        streams, self._open = self._open, {}
        ends = (stream.stop() for stream in streams.values())
        for error in await asyncio.gather(*ends, return_exceptions=True):
            if isinstance(error, BaseException):
                logger.info("a stream could not be ended: %s", error)

    def _may_open(self, place: Place, label: Label) -> bool:
        """Slack streams into threads only, and to people, whom it names."""
        return (
            self.is_on
            and bool(place.thread)
            and label.asker is not None
            and not is_bot(user_of(label.asker))
            and place.channel not in self._refusing
            and (label.turn_id, label.part) not in self._failed
        )

    def _do_without(self, place: Place, error: PlatformError) -> None:
        if isinstance(error, PlatformRefused) and error.code in UNKNOWN_HERE:
            self.is_on = False
            logger.info("replies in Slack grow by edits, for there are no streams: %s", error)
        else:
            self._remember(self._refusing, place.channel)

    def _remember(self, known: set[Any], key: object) -> None:
        if len(known) >= _MAX_REFUSING:
            known.clear()
        known.add(key)


async def stop_stream(call: Call, channel: str, ts: str, **more: str) -> bool:
    """False where the message does not stream (any more), or it is not known whether it did.

    Raises ``RateLimited`` and ``MessageGone``.
    """
    try:
        return await end_stream(call, channel, ts, **more)
    except Unavailable as error:
        logger.debug("a stream was not ended: %s", error)
        return False


async def end_stream(call: Call, channel: str, ts: str, **more: Any) -> bool:
    """False where the message does not stream; raises where that is not known, too."""
    try:
        await call("chat.stopStream", channel=channel, ts=ts, **more)
    except (PlatformRefused, NotPermitted, MessageTooLong) as error:
        logger.debug("a stream was not ended: %s", error)
        return False
    return True


def user_of(person: Person) -> str:
    return unquote(person.id.rpartition("/")[2])


def _asker(label: Label) -> str:
    return user_of(label.asker) if label.asker else ""


def _is_of_this_one(error: PlatformError) -> bool:
    """It tells nothing of other replies in the channel."""
    is_of_person = isinstance(error, PlatformRefused) and error.code == "user_not_found"
    return is_of_person or isinstance(error, MessageGone)


def _blocks(text: Rendered) -> tuple[Block, ...]:
    return text.blocks if isinstance(text, SlackText) else ()

"""Replies that grow: in a stream of Slack's where it can be, else by edits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Protocol, TypeVar

from adapters.slack.api.labels import metadata_of
from adapters.slack.assistant.sessions import AgentSessions
from adapters.slack.assistant.streams import Call, Streams, end_stream, stop_stream
from bot.errors import MessageGone, NotPermitted, PlatformRefused, Unavailable
from bot.ports import Clock
from bot.types import Label, Place, Rendered, ReplyEnd

T = TypeVar("T")

APPEND = "append"
"""As what the rate rules count more text in a stream."""

_CONFLICT = "streaming_state_conflict"


class PlainReplies(Protocol):
    """Posts and edits, with what stands under a reply."""

    async def begin(self, place: Place, text: Rendered, label: Label) -> str: ...
    async def grow(self, place: Place, message_id: str, text: Rendered) -> None: ...
    async def finish(
        self,
        place: Place,
        message_id: str | None,
        text: Rendered,
        label: Label,
        end: ReplyEnd | None,
    ) -> str: ...


class SlackReplies:
    def __init__(
        self, call: Call, clock: Clock, plain: PlainReplies, teams: Mapping[str, str]
    ) -> None:
        self._call = call
        self._plain = plain
        self._sessions = AgentSessions(call, clock)
        self._streams = Streams(call, clock, teams, lambda: self._sessions.going_on)
        self._ending: dict[str, Label] = {}

    def growth_method(self, ts: str) -> str:
        stream = self._streams.of(ts)
        return "edit" if stream is None or stream.is_over else APPEND

    def label_of(self, ts: str) -> Label | None:
        """Of a reply that is given its last text: a stream has had no label yet."""
        return self._ending.get(ts)

    async def begin(self, place: Place, text: Rendered, label: Label, *, is_text: bool) -> str:
        ts = await self._streams.open(place, text, label, is_text=is_text)
        ts = ts or await self._plain.begin(place, text, label)
        self._sessions.begin(place, ts)
        return ts

    async def grow(self, place: Place, ts: str, text: Rendered, *, is_text: bool) -> None:
        try:
            await self._grow(place, ts, text, is_text=is_text)
        except (MessageGone, NotPermitted):
            self._sessions.drop(place, ts)
            raise

    async def _grow(self, place: Place, ts: str, text: Rendered, *, is_text: bool) -> None:
        stream = self._streams.of(ts)
        if stream is None or stream.is_over:
            self._sessions.begin(place, ts)
            session = self._sessions.going_on
            await self._edited(place, ts, lambda: self._plain.grow(place, ts, text), session)
            return
        try:
            await stream.grow(text, is_text=is_text)
        except Unavailable:
            if self.growth_method(ts) != APPEND:
                self._sessions.go_on(place, ts, is_said=stream.is_left)
            raise

    async def finish(
        self, place: Place, ts: str | None, text: Rendered, label: Label, end: ReplyEnd | None
    ) -> str:
        """The whole text, whatever a stream shows: Slack may have closed it since.

        A stream whose end may be tried again is kept.
        """
        known, is_said = ts or "", False
        stream, session = self._streams.of(known), self._session(place, known)
        self._ending[known] = label
        try:
            if stream is not None and (is_said := await stream.stop(**session)):
                self._sessions.end(place, known, _said(session))
            shown = await self._edited(
                place, known, lambda: self._plain.finish(place, ts, text, label, end), session
            )
        except (MessageGone, NotPermitted):
            self._end(place, known, label, is_said=is_said)
            raise
        finally:
            self._ending.pop(known, None)
        self._end(place, known, label, is_said=is_said)
        return shown

    async def abandon(self, place: Place, ts: str) -> None:
        """Before its message is deleted."""
        said, session = "", self._session(place, ts)
        if stream := self._streams.of(ts):
            with suppress(MessageGone):
                said = _said(session) if await stream.stop(**session) else ""
            self._streams.forget(ts, stream.label)
        self._sessions.drop(place, ts, said)

    def _session(self, place: Place, ts: str) -> dict[str, str]:
        """What the end of this stream says of its thread."""
        return {} if self._sessions.is_last(place, ts) else self._sessions.going_on

    def leave_stream(self, ts: str) -> None:
        """Slack has ended it, since somebody pressed Slack's own Stop.

        Whose reply it is, others know: where the person may not stop it, edits go on.
        """
        if stream := self._streams.of(ts):
            stream.is_over = True

    async def adopt(self, place: Place, ts: str, label: Label) -> bool:
        """End a stream of an earlier process and label it; False if the message is none."""
        if not self._streams.is_on or self._streams.of(ts) is not None:
            return False
        more = {"metadata": metadata_of(label), **self._session(place, ts)}
        return await end_stream(self._call, place.channel, ts, **more)

    async def close(self) -> None:
        await self._streams.close()
        await self._sessions.close()

    def _end(self, place: Place, ts: str, label: Label, *, is_said: bool) -> None:
        self._streams.forget(ts, label)
        if not is_said:
            self._sessions.end(place, ts)

    async def _edited(
        self, place: Place, ts: str, edit: Callable[[], Awaitable[T]], session: dict[str, str]
    ) -> T:
        """What an earlier process left streaming takes no edit: it is ended first.

        So is what could not be ended when it was tried; Slack's end of it comes at the latest.
        """
        for _ in range(2):
            try:
                return await edit()
            except PlatformRefused as error:
                if error.code != _CONFLICT:
                    raise
            if not await stop_stream(self._call, place.channel, ts, **session):
                break
        raise Unavailable("A stream of Slack's could not be ended.", ambiguous=False)


def _said(session: dict[str, str]) -> str:
    """The end of a stream that says nothing says this."""
    return session.get("session_status", "active")

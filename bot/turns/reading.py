"""What a question brings along is read when its turn runs: by then it is on disk."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from bot.attachments.attachments import Attachments, Read
from bot.errors import EmptyQuestion, PlatformError
from bot.ports import HasEarlierMessages
from bot.prompt import clean
from bot.turns.live import LiveTurn
from bot.turns.notices import Notices
from bot.turns.parts import Parts
from bot.types import Incoming, Question, Turn

logger = logging.getLogger(__name__)


class Reading:
    def __init__(self, parts: Parts, notices: Notices) -> None:
        self._parts = parts
        self._notices = notices
        self._attachments = Attachments()

    async def wants_earlier(self, question: Question) -> bool:
        """Asked for once per thread, so that what was forgotten does not come back."""
        adapter, store = self._parts.adapters[question.place.adapter], self._parts.store
        place, message_id = question.place, question.message_id
        if not isinstance(adapter, HasEarlierMessages):
            return False
        if not adapter.may_have_earlier(place, message_id) or await store.knows(place):
            return False
        first = Incoming(event_id=f"earlier {place}", place=place, person=question.person)
        return await store.accept_event(first)

    def why_empty(self, question: Question) -> tuple[str, ...]:
        """Why none of its files can be read, in case it says nothing beside them."""
        adapter = self._parts.adapters[question.place.adapter]
        return self._attachments.why_none(adapter, question.attachments)

    async def read(self, live: LiveTurn) -> None:
        """Returns early if nobody wants an answer any more. Raises ``EmptyQuestion``."""
        if not live.turn.unread:
            return
        reading = asyncio.ensure_future(self._read(live.turn))
        halted = asyncio.ensure_future(live.halted.wait())
        try:
            await asyncio.wait((reading, halted), return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                live.refresh(reading.result())
        finally:
            halted.cancel()
            reading.cancel()
            await asyncio.wait((reading, halted))

    async def _read(self, turn: Turn) -> Turn:
        read = await self._read_files(turn)
        if not (turn.text or read.text):
            raise EmptyQuestion(" ".join(read.refusals))
        earlier = await self._read_earlier(turn) if turn.unread.earlier else ()
        if read.refusals:
            self._tell(turn, " ".join(read.refusals))
        files = clean(read.text)
        return await self._parts.store.note_read(turn.id, files=files, earlier=earlier)

    async def _read_files(self, turn: Turn) -> Read:
        adapter, counter = self._parts.adapters[turn.place.adapter], self._parts.metrics.files
        read = await self._attachments.read(adapter, turn.unread.attachments)
        counter.labels(turn.place.adapter, "read").inc(read.num_files)
        counter.labels(turn.place.adapter, "refused").inc(len(read.refusals))
        return read

    async def _read_earlier(self, turn: Turn) -> Sequence[tuple[str, str]]:
        adapter = self._parts.adapters[turn.place.adapter]
        if not isinstance(adapter, HasEarlierMessages):
            return ()
        try:
            return await adapter.earlier(turn.place, turn.message_id)
        except PlatformError as error:
            logger.info("earlier messages could not be read: %s", error)
            return ()

    def _tell(self, turn: Turn, sentences: str) -> None:
        asked = Question(
            event_id=f"files {turn.id}",
            place=turn.place,
            person=turn.person,
            text="",
            message_id=turn.message_id,
            sent_at=turn.accepted_at,
            is_direct=turn.is_direct,
        )
        self._notices.tell(asked, sentences)

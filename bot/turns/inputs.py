"""Files and earlier messages of a question: loaded when its turn runs, once it is on disk."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from bot.attachments.attachments import Attachments, Read
from bot.capabilities import Capabilities, FetchesFiles
from bot.chats import ADAPTER as CHATS
from bot.errors import EmptyQuestion, PlatformError
from bot.prompt import clean
from bot.stored import Turn
from bot.tasks import unless
from bot.turns.notices import Notices
from bot.turns.services import Services
from bot.types import Place, Question

logger = logging.getLogger(__name__)


class InputLoader:
    def __init__(self, services: Services, notices: Notices) -> None:
        self._services = services
        self._notices = notices
        self._attachments = Attachments()

    def why_empty(self, question: Question) -> tuple[str, ...]:
        """Why none of its files can be read; for a question without text."""
        return self._attachments.why_none(self._fetches(question.place), question.attachments)

    async def load(
        self, turn: Turn, halted: asyncio.Event, tell: Callable[[str], None] | None = None
    ) -> Turn:
        """The turn with its files and earlier messages, or unchanged once it is halted.

        ``tell`` takes what could not be read; None: the asker is told on the platform. Raises
        ``EmptyQuestion``.
        """
        loading = self._load(turn, tell or partial(self.tell, turn, "files"))
        return await unless(halted, loading) or turn

    async def _load(self, turn: Turn, tell: Callable[[str], None]) -> Turn:
        read = await self._read_files(turn)
        if not (turn.text or read.files):
            raise EmptyQuestion(" ".join(read.refusals))
        earlier = await self._read_earlier(turn) if turn.unread.earlier else ()
        if read.refusals:
            tell(" ".join(read.refusals))
        files = [replace(each, excerpt=clean(each.excerpt)) for each in read.files]
        loaded = await self._services.progress.note_read(turn.id, files=files, earlier=earlier)
        await self._services.uploads.drop(turn.unread.attachments)
        return loaded

    def _fetches(self, place: Place) -> FetchesFiles | None:
        if place.adapter == CHATS:
            return self._services.uploads
        return Capabilities.of(self._services.adapters[place.adapter]).files

    async def _read_files(self, turn: Turn) -> Read:
        counter, fetches = self._services.metrics.files, self._fetches(turn.place)
        read = await self._attachments.read(fetches, turn.unread.attachments)
        counter.labels(turn.place.adapter, "read").inc(len(read.files))
        counter.labels(turn.place.adapter, "refused").inc(read.num_refused)
        return read

    async def _read_earlier(self, turn: Turn) -> Sequence[tuple[str, str]]:
        earlier = Capabilities.of(self._services.adapters[turn.place.adapter]).earlier_messages
        if earlier is None:
            return ()
        try:
            async with self._services.budgets[turn.place.adapter].call("earlier", turn.place):
                return await earlier.earlier(turn.place, turn.message_id)
        except PlatformError as error:
            logger.info("earlier messages could not be read: %s", error)
            return ()

    def tell(self, turn: Turn, about: str, sentences: str) -> None:
        """Tell the asker on the platform; ``about`` is what could not be read."""
        asked = Question(
            event_id=f"{about} {turn.id}",
            place=turn.place,
            person=turn.person,
            text="",
            message_id=turn.message_id,
            sent_at=turn.accepted_at,
            is_direct=turn.is_direct,
        )
        self._notices.tell(asked, sentences)

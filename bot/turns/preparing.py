"""What a question is given before it is stored: its files' text, and what was said before."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from bot.attachments.attachments import Attachments
from bot.errors import PlatformError, UnknownPersonality
from bot.ports import HasEarlierMessages
from bot.prompt import clean
from bot.turns.parts import Parts
from bot.types import Incoming, Question

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Prepared:
    """``notes``: sentences for the asker."""

    question: Question
    notes: tuple[str, ...] = ()


class Preparing:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._attachments = Attachments()

    async def prepare(self, question: Question) -> Prepared:
        adapter = self._parts.adapters[question.place.adapter]
        read = await self._attachments.read(adapter, question.text, question.attachments)
        earlier = await self._earlier(question)
        prepared = replace(question, text=clean(read.text).strip(), earlier=earlier)
        return Prepared(prepared, read.refusals)

    async def choose_personality(self, question: Question) -> None:
        """Raises ``UnknownPersonality``."""
        if question.personality is None:
            return
        if question.personality not in self._parts.personalities.names:
            raise UnknownPersonality(question.personality, tuple(self._parts.personalities.names))
        await self._parts.store.set_personality(question.place, question.personality)

    async def _earlier(self, question: Question) -> tuple[tuple[str, str], ...]:
        """Asked for once per thread, so that what was forgotten does not come back."""
        adapter, store = self._parts.adapters[question.place.adapter], self._parts.store
        if not isinstance(adapter, HasEarlierMessages):
            return ()
        place, message_id = question.place, question.message_id
        if not adapter.may_have_earlier(place, message_id) or await store.knows(place):
            return ()
        first = Incoming(event_id=f"earlier {place}", place=place, person=question.person)
        if not await store.accept_event(first):
            return ()
        try:
            return tuple(await adapter.earlier(place, message_id))
        except PlatformError as error:
            logger.info("earlier messages could not be read: %s", error)
            return ()

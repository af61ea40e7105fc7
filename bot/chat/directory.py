"""The list of somebody's chats, and what they do with a whole one."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from bot.chat.records import turns_to_store
from bot.chat.watches import Watches
from bot.chats import Chat, ChatSummary, Owner
from bot.errors import RequestError, UnknownChat
from bot.prompt import clean
from bot.stored import ThreadSummary
from bot.turns.registry import Turns
from bot.turns.services import Services
from bot.types import Place

MAX_TITLE = 200


class ChatDirectory:
    """See ``bot.chats.Chats``."""

    def __init__(self, services: Services, turns: Turns, watches: Watches) -> None:
        self._services = services
        self._turns = turns
        self._watches = watches

    async def summaries(self, owner: Owner, search: str) -> Sequence[ChatSummary]:
        found = await self._services.directory.listed(owner.place(""), search)
        return [self._summed_up(each) for each in found]

    async def summary(self, place: Place) -> ChatSummary | None:
        """None: there is no such chat."""
        found = await self._services.directory.summary(place)
        return None if found is None else self._summed_up(found)

    async def rename(self, place: Place, title: str) -> None:
        """Raises ``UnknownChat`` and ``RequestError``."""
        title = _title(title)
        if len(title) > MAX_TITLE:
            raise RequestError(f"A title has at most {MAX_TITLE} characters; please shorten it.")
        await self._known(place)
        await self._services.directory.set_title(place, title or None)
        self._watches.changed_chat(place)

    async def set_personality(self, place: Place, name: str) -> None:
        """Counts from the next question. Raises ``UnknownChat`` and ``UnknownPersonality``."""
        chosen = self._services.personalities.get(name)
        await self._known(place)
        await self._services.thread_settings.set_personality(place, chosen.name)
        self._watches.changed_chat(place)

    async def forget(self, place: Place) -> None:
        await self._known(place)
        await self._turns.forget(place)
        self._watches.changed_chat(place)

    async def add(self, owner: Owner, chat: Chat) -> str:
        """Its personality, if there is no such one any more, is the default one.

        Raises ``AccessDenied``.
        """
        place = owner.place(uuid.uuid4().hex)
        self._services.access.check(place, owner.person, is_direct=False)
        known = chat.summary.personality in self._services.personalities.names
        await self._services.directory.add_thread(
            place,
            turns_to_store(chat, place, owner.person),
            title=_title(chat.summary.title)[:MAX_TITLE],
            personality=chat.summary.personality if known else None,
        )
        self._watches.changed_chat(place)
        return place.thread

    async def _known(self, place: Place) -> None:
        if await self.summary(place) is None:
            raise UnknownChat

    def _summed_up(self, thread: ThreadSummary) -> ChatSummary:
        return ChatSummary(
            id=thread.place.thread,
            title=thread.title,
            personality=thread.personality or self._services.rules.personality,
            num_turns=thread.num_turns,
            last_at=thread.last_at or self._services.clock.now(),
            is_busy=self._watches.is_busy(thread.place),
        )


def _title(text: str) -> str:
    return " ".join(clean(text).split())

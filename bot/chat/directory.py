"""The list of somebody's chats, and what they do with a whole one."""

from __future__ import annotations

from collections.abc import Sequence

from bot.chat.watches import Watches
from bot.chats import Chat, ChatSummary, Owner
from bot.errors import NotOffered, UnknownChat
from bot.stores import ThreadSummary
from bot.turns.registry import Turns
from bot.turns.services import Services
from bot.types import Person, Place


class ChatDirectory:
    """See ``bot.chats.Chats``."""

    def __init__(self, services: Services, turns: Turns, watches: Watches) -> None:
        self._services = services
        self._turns = turns
        self._watches = watches

    async def summaries(self, owner: Owner, search: str) -> Sequence[ChatSummary]:
        found = await self._services.directory.threads(owner.person.id)
        here = owner.place("").channel_form
        return [self._summed_up(each) for each in found if each.place.channel_form == here]

    async def summary(self, place: Place) -> ChatSummary | None:
        """None: there is no such chat."""
        person = Person.at(place, place.channel)
        found = await self._services.directory.threads(person.id)
        return next((self._summed_up(each) for each in found if each.place == place), None)

    async def rename(self, place: Place, title: str) -> None:
        raise NotOffered("Chats cannot be renamed yet.")

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
        raise NotOffered("Chats cannot be imported yet.")

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

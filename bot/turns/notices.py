"""Sentences from Parley beside its replies: to everybody in the thread, or to one person."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Sequence
from dataclasses import replace

from bot.capabilities import Capabilities, OffersChoices, Whispers
from bot.errors import MessageTooLong, PlatformError, PlatformRefused, RateLimited
from bot.reply import ReplyEditor
from bot.tasks import TaskSet
from bot.turns.services import Services
from bot.types import NOTICE, Choice, Command, Incoming, Label, Place, Question

logger = logging.getLogger(__name__)

NOT_YOURS = "Only the person who asked, or an admin, can do that."


class Notices:
    """Nobody waits for a notice: a platform's pace must not hold up an acknowledgement."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.tasks = TaskSet(services.clock)

    def say(self, incoming: Incoming, markdown: str, choices: Sequence[Choice] = ()) -> None:
        """Post into the thread, with buttons where the platform has them.

        What nobody has read but Parley is answered to that person alone, where that can be.
        """
        if isinstance(incoming, Command) and incoming.is_private:
            if incoming.about:
                gap = "\n" if "\n" in markdown else " "
                markdown = f"In the thread “{incoming.about}”:{gap}{markdown}"
            outside = replace(incoming, is_private=False, about="", place=_outside(incoming.place))
            if self.whisper(outside, markdown, choices):
                return
        offers = Capabilities.of(self._services.adapters[incoming.place.adapter]).offers
        if choices and offers is not None:
            self.tasks.spawn(self._offer(offers, incoming, markdown, choices))
        else:
            self.tasks.spawn(self._post(incoming, markdown))

    def tell(self, incoming: Incoming, markdown: str) -> None:
        """To the person alone where the platform can do so and others may read along."""
        if isinstance(incoming, Command) and incoming.is_private:
            self.say(incoming, markdown)
            return
        is_alone = isinstance(incoming, (Question, Command)) and incoming.is_direct
        if is_alone or not self.whisper(incoming, markdown):
            self.say(incoming, markdown)

    def refuse(self, incoming: Incoming, why: str) -> None:
        """Once per person and hour; where the platform awaits an answer, each time."""
        is_first = self._services.access.may_refuse_aloud(incoming.person)
        is_said = is_first or incoming.awaits_answer
        self._services.metrics.refusals.labels(incoming.place.adapter, str(is_said).lower()).inc()
        if is_said:
            self.tell(incoming, why)

    def whisper(self, incoming: Incoming, markdown: str, choices: Sequence[Choice] = ()) -> bool:
        """To the person alone, or not at all; False if the platform cannot.

        What a bot would be told stands in the log: it does not read, and others need not.
        """
        if incoming.person.is_bot:
            logger.info("%s is not told: %s", incoming.person, markdown)
            return True
        whispers = Capabilities.of(self._services.adapters[incoming.place.adapter]).whispers
        if whispers is None:
            return False
        self.tasks.spawn(self._whisper(whispers, incoming, markdown, choices))
        return True

    def can_whisper_unasked(self, incoming: Incoming) -> bool:
        whispers = Capabilities.of(self._services.adapters[incoming.place.adapter]).whispers
        return whispers is not None and whispers.can_whisper_unasked

    async def _post(self, incoming: Incoming, markdown: str) -> None:
        place = incoming.place
        editor = ReplyEditor(
            self._services.adapters[place.adapter],
            self._services.budgets[place.adapter],
            self._services.clock,
            place=place,
            turn_id=_label(incoming).turn_id,
            record=_forget_post,
            question_id=_awaiting(incoming),
            grows=False,
            later=self.tasks.spawn,
        )
        try:
            async with editor:
                await editor.finish(markdown)
        except PlatformError as error:
            logger.warning("a notice could not be posted: %s", error)

    async def _offer(
        self, offers: OffersChoices, incoming: Incoming, markdown: str, choices: Sequence[Choice]
    ) -> None:
        """Without its buttons where it cannot be posted with them."""
        place = incoming.place
        text = self._services.adapters[place.adapter].render(markdown)
        try:
            async with self._services.budgets[place.adapter].call("post", place):
                await offers.offer(place, text, choices, _label(incoming))
        except (PlatformRefused, MessageTooLong, RateLimited):
            await self._post(incoming, markdown)
        except PlatformError as error:
            logger.warning("a notice could not be posted: %s", error)

    async def _whisper(
        self, whispers: Whispers, incoming: Incoming, markdown: str, choices: Sequence[Choice]
    ) -> None:
        place = incoming.place
        text = self._services.adapters[place.adapter].render(markdown)

        def call(_: bool) -> Awaitable[None]:
            return whispers.whisper(place, incoming.person, text, choices)

        try:
            await self._services.patiently("whisper", place, call)
        except PlatformError as error:
            logger.warning("a notice could not be whispered: %s", error)


def _outside(place: Place) -> Place:
    return replace(place, thread="")


def _label(incoming: Incoming) -> Label:
    return Label(f"{NOTICE}{incoming.event_id}", 0)


def _awaiting(incoming: Incoming) -> str | None:
    """The question that is shown as being answered, and so is answered by the notice."""
    if isinstance(incoming, Question) and incoming.awaits_answer:
        return incoming.message_id
    return None


async def _forget_post(part: int, message_id: str | None) -> None:
    """A notice is not a reply: nobody stops, rates or edits it."""

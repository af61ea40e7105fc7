"""Questions that are no messages: on disk at once, then posted in their persons' names."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

from bot.capabilities import Capabilities
from bot.errors import (
    AccessDenied,
    MessageGone,
    NotPermitted,
    OverLimit,
    PlatformError,
    PlatformRefused,
    StorageError,
)
from bot.prompt import clean
from bot.stored import Turn
from bot.tasks import TaskSet
from bot.turns.notices import Notices
from bot.turns.registry import Turns
from bot.turns.services import Services
from bot.turns.spoken import parse
from bot.types import NOTICE, Label, Person, Place, Question, UnpostedQuestion

NOTHING_ASKED = "I see no question in this; please write one after `ask`."
NOT_INVITED = "I cannot write here: please invite me to this channel, then ask again."
NOT_POSTED = "I could not post your question here; please ask again."

logger = logging.getLogger(__name__)

Store = Callable[[Question], Awaitable[Turn | None]]


class UnpostedQuestions:
    """``store`` makes a question a turn. What a process leaves behind, the next one posts."""

    def __init__(self, services: Services, turns: Turns, notices: Notices, store: Store) -> None:
        self._services = services
        self._turns = turns
        self._notices = notices
        self._store = store
        self.tasks = TaskSet(services.clock)

    async def take(self, asked: UnpostedQuestion) -> None:
        """Returns once the question is on disk, before it is posted."""
        deliveries = self._services.deliveries
        try:
            self._services.access.check(asked.place, asked.person, is_direct=asked.is_direct)
        except AccessDenied as error:
            self._notices.refuse(asked, str(error))
            return
        if not clean(asked.text).strip():
            if await deliveries.accept_event(asked):
                self._notices.tell(asked, NOTHING_ASKED)
        elif await deliveries.owe(asked):
            self.tasks.spawn(self.answer(asked))

    async def answer(self, asked: UnpostedQuestion, *, search_first: bool = False) -> None:
        """Post it and begin its turn, or tell the person why not.

        ``search_first``: an earlier process may have posted it.
        """
        post = partial(self._post, asked, search_first=search_first)
        try:
            await self._turns.begin(asked.place, asked.person, post)
        except (AccessDenied, OverLimit, StorageError) as error:
            self._notices.tell(asked, str(error))
        except (NotPermitted, MessageGone):
            self._notices.tell(asked, NOT_INVITED)
        except PlatformError as error:
            logger.warning("a question could not be posted: %s", error)
            self._notices.tell(asked, NOT_POSTED)
        await self._services.settle(asked)

    async def _post(self, asked: UnpostedQuestion, *, search_first: bool) -> Turn | None:
        """Post the question and store it; what cannot be stored does not stay unanswered.

        Whoever might ask may have been refused since, by a restart.
        """
        self._services.access.check(asked.place, asked.person, is_direct=asked.is_direct)
        adapter = self._services.adapters[asked.place.adapter]
        posts = Capabilities.of(adapter).posts_questions
        if posts is None:
            raise PlatformRefused("post_question", "not_offered")
        label = Label(f"{NOTICE}asked {asked.event_id}", 0)
        text = clean(asked.text).strip()

        def post(is_repeated: bool) -> Awaitable[tuple[Place, Person, str]]:
            return posts.post_question(
                asked.place, asked.person, text, label, search_first=is_repeated
            )

        place, person, message_id = await self._services.patiently(
            "post", asked.place, post, is_repeated=search_first
        )
        question = Question(
            event_id=asked.event_id,
            place=place,
            person=person,
            text="\n\n".join(filter(None, (_as_question(text), clean(asked.quoted)))),
            message_id=message_id,
            sent_at=self._services.clock.now(),
            is_direct=asked.is_direct,
            is_mention=True,
            attachments=asked.attachments,
        )
        try:
            return await self._store(question)
        except StorageError:
            with suppress(PlatformError):
                await adapter.delete(place, message_id)
            raise


def _as_question(text: str) -> str:
    """What is asked as a question is none of the commands that a message can be edited into."""
    return f"“{text}”" if parse(text) else text

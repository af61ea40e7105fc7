"""Sessions of programs: threads like those of people, whose replies are streams of events."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import deque
from dataclasses import replace
from functools import partial
from typing import Self

from bot.errors import (
    EmptyQuestion,
    EngineFailed,
    ParleyError,
    RequestError,
    sentence_for_people,
)
from bot.generation import (
    Finished,
    FinishReason,
    GenerationEvent,
    GenerationRequest,
    Progress,
    Reasoning,
)
from bot.ports import LOCAL_ACCOUNT, SIGNED_IN, Generation
from bot.prompt import clean
from bot.stored import Turn
from bot.turns.completion import STOPPING
from bot.turns.display import STOPPED, Draft, Ending, failed
from bot.turns.live import LiveTurn
from bot.turns.queues import AdmissionQueue
from bot.turns.registry import Turns
from bot.turns.services import ContextTrimmer, Services
from bot.types import Personality, Question, Session, SessionQuestion

logger = logging.getLogger(__name__)

_FORGOTTEN = "The session was forgotten while this was under way."


class SessionTurn(LiveTurn):
    """A turn of a program. Its last event comes once its end is on disk.

    One that a process left unfinished is interrupted at the next start: whoever waited for its
    reply has gone with the connection.
    """

    def __init__(
        self,
        services: Services,
        admissions: AdmissionQueue,
        trimmer: ContextTrimmer,
        question: SessionQuestion,
        turn: Turn,
        *,
        admitted: bool,
    ) -> None:
        self._question = question
        super().__init__(services, admissions, trimmer, turn, admitted=admitted)
        self._events: deque[GenerationEvent | ParleyError] = deque()
        self._wake = asyncio.Event()
        self._is_over = False
        self._finished: Finished | None = None
        self._shows_reasoning = False

    @property
    def fair_name(self) -> str:
        """Many people may share a key: then to each session."""
        is_one = self._question.session.account.startswith(SIGNED_IN)
        return self.turn.person.id if is_one else str(self.place)

    @property
    def max_tokens(self) -> int:
        return self._question.max_tokens or super().max_tokens

    @property
    def platform(self) -> str:
        return self._question.route or super().platform

    @property
    def crowd(self) -> str:
        return str(self.place)

    @property
    def sites(self) -> tuple[str, ...]:
        return self._question.sites

    async def next_event(self) -> GenerationEvent:
        """Raises what kept the turn from its reply, and ``StopAsyncIteration`` after the last."""
        while not self._events:
            if self._is_over:
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()
        event = self._events.popleft()
        if isinstance(event, ParleyError):
            raise event
        return event

    async def run(self) -> None:
        try:
            ending = await self._answer()
            await self.finish(ending)
            self._tell(self._last(ending.reason))
        except Exception as error:  # one turn never takes others down
            await self._fail(error)
        finally:
            if not self._is_over:
                self._tell(self._last(None))

    def _last(self, reason: FinishReason | None) -> Finished:
        if self.is_forgotten:
            return Finished(FinishReason.CANCELLED, detail=_FORGOTTEN)
        return self._finished or Finished(reason or FinishReason.CANCELLED)

    async def _answer(self) -> Ending:
        """At the front of its session, then where the engine has room for it."""
        await self.may_go_on.wait()
        if self.is_given_up:
            return STOPPED
        self._admissions.join(self._admission)
        try:
            return await self._generate() if await self._begin() else STOPPED
        finally:
            self._admissions.leave(self._admission)

    async def _request(self, personality: Personality) -> GenerationRequest:
        request = await super()._request(personality)
        self._shows_reasoning = personality.reasoning != "hidden"
        return replace(request, answer_format=self._question.answer_format)

    def _show_progress(self, text: str) -> None:
        self._tell(Progress(text))

    def _tell_refused(self, sentences: str) -> None:
        """Raises ``RequestError`` where there is no answer without it."""
        if self._question.needs_pages:
            raise RequestError(sentences)
        self._tell(Progress(sentences.removesuffix(".")))

    async def _stream(self, generation: Generation, draft: Draft) -> Finished:
        self._finished = await super()._stream(generation, draft)
        return self._finished

    def _take(self, event: GenerationEvent, draft: Draft) -> None:
        if self._shows_reasoning or not isinstance(event, Reasoning):
            self._tell(event)

    def _tell(self, event: GenerationEvent | ParleyError) -> None:
        self._events.append(event)
        self._is_over = isinstance(event, Finished | ParleyError)
        self._wake.set()

    async def _fail(self, error: Exception) -> None:
        if not (self.is_forgotten or isinstance(error, ParleyError)):
            logger.error("turn %s failed", self.id, exc_info=error)
        sentence = sentence_for_people(error)
        if self._told is None:
            await self.finish(STOPPED if self.is_forgotten else failed(sentence))
        self._tell(error if isinstance(error, ParleyError) else EngineFailed(sentence))


class SessionReply:
    """The events of one turn as a ``Generation``. The turn goes on while nobody reads them."""

    def __init__(self, turns: Turns, turn: SessionTurn) -> None:
        self._turns = turns
        self._turn = turn

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> GenerationEvent:
        return await self._turn.next_event()

    def cancel(self) -> None:
        self._turns.stop(self._turn)


class Sessions:
    """Begins and forgets the turns of programs."""

    def __init__(
        self,
        services: Services,
        turns: Turns,
        admissions: AdmissionQueue,
        trimmer: ContextTrimmer,
    ) -> None:
        self._services = services
        self._turns = turns
        self._new_turn = partial(SessionTurn, services, admissions, trimmer)
        self._closed = False

    def close(self) -> None:
        """No further turns begin; those under way go on."""
        self._closed = True

    async def begin(self, asked: SessionQuestion) -> SessionReply:
        """Returns once the question is on disk, whatever is still ahead of it in its session."""
        if self._closed:
            raise EngineFailed(STOPPING)
        session = self._checked(asked.session)
        text = clean(asked.text).strip()
        if not text:
            raise EmptyQuestion("There is no question in this.")
        question = replace(asked, session=session, text=text)
        is_limited = session.account != LOCAL_ACCOUNT
        turn = await self._turns.enter(
            partial(self._make, question, is_limited=is_limited),
            str(session.place),
            session.person if is_limited else None,
            "session",
        )
        return SessionReply(self._turns, turn)

    async def forget(self, session: Session) -> int:
        """Delete the session with what is under way in it; how many turns it had."""
        return await self._turns.forget(self._checked(session).place)

    def _checked(self, session: Session) -> Session:
        """Raises ``AccessDenied`` and ``UnknownPersonality``."""
        account = session.place.workspace_form
        self._services.access.check_program(account, session.person)
        name = self._services.personalities.get(session.personality).name
        return replace(session, personality=name)

    async def _make(self, asked: SessionQuestion, *, is_limited: bool) -> SessionTurn:
        place, name = asked.session.place, asked.session.personality
        settings = self._services.thread_settings
        if await settings.personality(place) != name:
            await settings.set_channel_personality(place, name)
        stored = await self._services.deliveries.accept(self._question(asked))
        if stored is None:
            raise EngineFailed("This question was taken before.")
        return self._new_turn(asked, stored, admitted=is_limited)

    def _question(self, asked: SessionQuestion) -> Question:
        message_id = uuid.uuid4().hex
        return Question(
            event_id=message_id,
            place=asked.session.place,
            person=asked.session.person,
            text=asked.text,
            message_id=message_id,
            sent_at=self._services.clock.now(),
            is_direct=True,
        )

"""A turn of a chat: it runs to its end whoever looks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from bot.chats import TERMINAL, GrowingAnswer
from bot.errors import (
    EmptyQuestion,
    EngineFailed,
    ParleyError,
    PromptTooLong,
    RequestError,
    sentence_for_people,
)
from bot.generation import GenerationEvent, Progress, Queued, Reasoning
from bot.ports import LOCAL_ACCOUNT
from bot.stored import AnsweredTurn, StoredAnswer, Turn
from bot.turns.display import STOPPED, Draft, Ending, failed
from bot.turns.live import LiveTurn
from bot.turns.queues import AdmissionQueue
from bot.turns.services import ContextTrimmer, Services
from bot.types import Personality

logger = logging.getLogger(__name__)


class WatchedTurn(LiveTurn):
    """``growing`` is how far its answer is; ``audience`` hears when that changes.

    Its answer, like those before it, is kept with the turn.
    """

    def __init__(
        self,
        services: Services,
        admissions: AdmissionQueue,
        trimmer: ContextTrimmer,
        audience: Audience,
        load: LoadInputs,
        turn: Turn,
        *,
        admitted: bool = False,
    ) -> None:
        super().__init__(services, admissions, trimmer, turn, admitted=admitted)
        self._audience = audience
        self._load = load
        self._unread = ""  # what could not be read, in sentences
        self._draft: Draft | None = None
        self._reasoned = ""  # before what it continues
        self._number = 0  # of its answer, once that is known
        self._standing = _Standing("queued")
        audience.add(self)

    @property
    def growing(self) -> GrowingAnswer:
        draft = self._draft or Draft("hidden", answer=self._begun)
        return GrowingAnswer(
            stage=self._standing.stage,
            number=self._number,
            place=self._standing.place,
            wait=self._standing.wait,
            doing=self._standing.doing,
            model=self._model,
            personality=self._personality,
            reasoning=self._reasoned or _reasoning(draft),
            reply=draft.answer,
        )

    @property
    def answer_id(self) -> str:
        return f"{self.id}.{self._number}"

    @property
    def crowd(self) -> str:
        return str(self.place)

    def wait_behind(self, ahead: LiveTurn, num_ahead: int) -> None:
        if not self.may_go_on.is_set():
            self._stand(_Standing("queued", num_ahead))

    async def run(self) -> None:
        try:
            await self.finish(await self._answer())
        except Exception as error:  # one turn never takes others down
            await self._fail(error)

    async def finish(self, ending: Ending) -> None:
        await super().finish(ending)
        if self.is_concluded or self.is_forgotten:
            self._audience.ended(self)

    async def _answer(self) -> Ending:
        try:
            return await self._answer_in_order()
        except (EmptyQuestion, PromptTooLong) as error:
            return self._refused(error)
        except (RequestError, EngineFailed) as error:
            return failed(str(error))
        finally:
            self._admissions.leave(self._admission)

    async def _answer_in_order(self) -> Ending:
        asked = await self._services.answers.answered_turn(self.id)
        if asked is not None:
            self._take_up(asked)
        await self.may_go_on.wait()
        if self.is_given_up:
            return STOPPED
        self._stand(_Standing("queued"))
        self._admissions.join(self._admission)
        return await self._generate() if await self._begin() else STOPPED

    def _take_up(self, asked: AnsweredTurn) -> None:
        self._personality, self._number = asked.personality, asked.next_number
        if asked.continued is not None and (answer := asked.answer(asked.continued)):
            self._reasoned = answer.reasoning

    async def _begin(self) -> bool:
        has_begun = await super()._begin()
        self._stand(_Standing("reading"))
        if has_begun and self.turn.unread:
            self._refresh(await self._load(self.turn, self._halted, self._tell_unread))
        return has_begun and not self._halted.is_set()

    def _tell_unread(self, sentences: str) -> None:
        self._unread = " ".join(filter(None, (self._unread, sentences)))

    @property
    def is_asker_known(self) -> bool:
        """Somebody who uses a browser of this machine without signing in is not."""
        return self.place.workspace != LOCAL_ACCOUNT or self.place.channel == TERMINAL

    def _show_progress(self, text: str) -> None:
        self._stand(_Standing("reading", doing=text))

    def _tell_refused(self, sentences: str) -> None:
        self._tell_unread(sentences)

    async def _speaker(self) -> Personality:
        """Who was to answer when it was asked."""
        return self._services.personality_named(self._personality)

    def _show_place(self, place: int) -> None:
        self._stand(_Standing("queued", place))

    def _take(self, event: GenerationEvent, draft: Draft) -> None:
        self._draft = draft
        if isinstance(event, Queued) and event.place:
            stage: Stage = "loading" if event.loading else "queued"
            self._stand(_Standing(stage, event.place, event.wait))
        elif isinstance(event, Progress):
            self._show_progress(event.text)
        elif isinstance(event, Queued):
            self._stand(_Standing("reading"))
        else:
            self._stand(_Standing("thinking" if isinstance(event, Reasoning) else "writing"))

    def _stand(self, standing: _Standing) -> None:
        self._standing = standing
        self._audience.grew(self)

    async def _store(self, ending: Ending) -> None:
        self._number = await self._services.answers.end_answer(self.id, self._given(ending))

    def _given(self, ending: Ending) -> StoredAnswer:
        return StoredAnswer(
            question=self.turn.text,
            reply=ending.reply,
            state=ending.state,
            note=" ".join(filter(None, (self._unread, ending.note))),
            reasoning=_reasoning(self._draft) if self._draft else "",
            reason=ending.reason,
            model=self._model,
            personality=self._personality,
            usage=ending.usage,
            first_token_seconds=self._times.first_token_seconds,
            total_seconds=self._times.seconds,
        )

    async def _fail(self, error: Exception) -> None:
        if not (self.is_forgotten or isinstance(error, ParleyError)):
            logger.error("turn %s failed", self.id, exc_info=error)
        if self._told is None:
            await self.finish(STOPPED if self.is_forgotten else failed(sentence_for_people(error)))
        elif not self.is_concluded:
            self._services.tasks.spawn(self._finish_later(self._told))


LoadInputs = Callable[[Turn, asyncio.Event, Callable[[str], None]], Awaitable[Turn]]
"""``InputLoader.load``."""

Stage = Literal["queued", "loading", "reading", "thinking", "writing"]


@dataclass(frozen=True, slots=True)
class _Standing:
    stage: Stage
    place: int | None = None
    wait: float | None = None
    doing: str = ""


class Audience(Protocol):
    """Who hears of turns; see ``bot.chat.watches.Watches``."""

    def add(self, live: WatchedTurn) -> None: ...
    def grew(self, live: WatchedTurn) -> None: ...
    def ended(self, live: WatchedTurn) -> None: ...


def _reasoning(draft: Draft) -> str:
    return "".join(draft.thoughts).strip() if draft.shows != "hidden" else ""

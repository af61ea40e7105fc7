"""A turn that is not finished: its way through its thread and the engine, and its end on disk."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from enum import Enum, auto

from bot import prompt
from bot.errors import EmptyQuestion, EngineFailed, PromptTooLong, QueueFull, StorageError
from bot.generation import (
    Delta,
    Finished,
    FinishReason,
    GenerationEvent,
    GenerationRequest,
    Progress,
    Queued,
    Reasoning,
)
from bot.ports import Generation
from bot.stored import Turn, TurnState
from bot.turns.display import STOPPED, Draft, Ending, failed, longer
from bot.turns.gathering import gathered_for
from bot.turns.queues import Admission, AdmissionQueue
from bot.turns.services import ContextTrimmer, Services
from bot.types import Personality
from bot.usage import AnswerTimes

logger = logging.getLogger(__name__)

_MAX_FITTINGS = 4
_DISK_POLL_SECONDS = 10.0
_FULL = "This answer fills all that the model can see at once, so it cannot become longer."
_NO_END = Finished(FinishReason.ERROR, detail="The model ended without a word of why.")


class Wish(Enum):
    """Why a turn is to end before its reply is complete."""

    STOP = auto()
    RESTART = auto()
    GO_ON = auto()
    FORGET = auto()


class LiveTurn:
    """Its state and its cancellation, whoever waits for the reply; subclasses show it to them.

    Every step is on disk before anybody could see it. ``admitted``: it counts for its person.
    ``may_go_on`` is set when nothing of its thread is ahead any more, or when nobody wants an
    answer. ``ending``: people see its end, or are about to. ``is_concluded``: that is on disk.
    """

    def __init__(
        self,
        services: Services,
        admissions: AdmissionQueue,
        trimmer: ContextTrimmer,
        turn: Turn,
        *,
        admitted: bool = False,
    ) -> None:
        self.turn = turn
        self.id = turn.id
        self.place = turn.place
        self.admitted = admitted
        self.wish: Wish | None = None
        self.ending: Ending | None = None
        self.is_concluded = False
        self.may_go_on = asyncio.Event()
        self.ended = asyncio.Event()
        self._services = services
        self._admissions = admissions
        self._admission = Admission(self.fair_name, self._show_place)
        self._trimmer = trimmer
        self._halted = asyncio.Event()
        self._told: Ending | None = None  # the end that people were shown, if any
        self._generation: Generation | None = None
        self._times = AnswerTimes(services.clock)
        self._personality = self._model = ""  # until they are known
        self._speaking: Personality | None = None

    @property
    def fair_name(self) -> str:
        """Whom the engine is fair to."""
        return self.turn.person.id

    @property
    def _begun(self) -> str:
        """What the reply continues, if anything."""
        return self.turn.reply

    @property
    def crowd(self) -> str:
        """Those of one crowd that may be unfinished at once are limited."""
        return self.place.channel_form

    @property
    def max_tokens(self) -> int:
        """The cap of the reply."""
        return self._services.rules.max_tokens

    @property
    def platform(self) -> str:
        """How it was asked, for the usage log."""
        return self.place.adapter

    @property
    def answer_id(self) -> str:
        """The id of its answer in the usage log."""
        return self.id

    @property
    def is_forgotten(self) -> bool:
        return self.wish is Wish.FORGET

    @property
    def is_given_up(self) -> bool:
        """Whether nobody wants an answer any more."""
        return self.wish in (Wish.STOP, Wish.FORGET)

    def halt(self, wish: Wish) -> None:
        """End the turn wherever it stands; the newest wish counts, forgetting is final."""
        if not self.is_forgotten:
            self.wish = wish
        self._halted.set()
        self.may_go_on.set()
        self._admission.admitted.set()
        if self._generation is not None:
            self._generation.cancel()

    def wait_behind(self, ahead: LiveTurn, num_ahead: int) -> None:
        """``ahead`` is the one before it in its thread."""

    async def run(self) -> None:
        """Return once the turn has ended."""
        raise NotImplementedError

    async def conclude(self, ending: Ending) -> None:
        """End a turn that does not run."""
        await self.finish(ending)

    async def finish(self, ending: Ending) -> None:
        """Store the end; what the disk does not take now it gets later.

        Nothing of a forgotten turn is kept.
        """
        if self.is_forgotten:
            return
        self._told = ending
        try:
            await self._store(ending)
        except StorageError:
            logger.error("the end of turn %s could not be stored and is tried again", self.id)
            self._services.tasks.spawn(self._finish_later(ending))
            return
        self.is_concluded = True
        self._note_usage(ending)
        self._services.metrics.turns.labels(self.place.adapter, ending.state.value).inc()
        if ending.reply and not self.is_forgotten:
            self._trimmer.trim_soon(self.turn)

    def _note_usage(self, ending: Ending) -> None:
        row = self._times.row(
            self.answer_id,
            person=self.turn.person.id,
            platform=self.platform,
            place=str(self.place),
            personality=self._personality,
            model=self._model,
            state=ending.state,
            reason=ending.reason,
            usage=ending.usage,
        )
        self._services.usage.note(row)

    def _show_place(self, place: int) -> None:
        """It waits for the engine, and its place in line has changed."""

    def _look_at(self, personality: Personality, turns: Sequence[Turn]) -> None:
        """The prompt is made from these and the question."""

    def _take(self, event: GenerationEvent, draft: Draft) -> None:
        """Show the event, which is not the last; ``draft`` holds it already."""
        raise NotImplementedError

    async def _store(self, ending: Ending) -> None:
        ending = longer(self.turn, ending)
        await self._services.progress.finish(
            self.id,
            ending.state,
            reply=ending.reply,
            reason=ending.reason,
            usage=ending.usage,
            above=ending.above,
        )

    def _refused(self, error: EmptyQuestion | PromptTooLong) -> Ending:
        """The question, with the answer so far, is none that a model can answer."""
        if self._begun and isinstance(error, PromptTooLong):
            full = failed(_FULL, may_retry=False)
            return replace(full, state=TurnState.DONE, reason=FinishReason.STOP)
        return failed(str(error), may_retry=False)

    async def _finish_later(self, ending: Ending) -> None:
        """Unless the turn was begun again by then."""
        await self._services.clock.sleep(_DISK_POLL_SECONDS)
        if self._told is ending:
            await self.finish(ending)

    async def _begin(self) -> bool:
        """Begin on disk once the turn is admitted; False if it was halted before."""
        if not self._halted.is_set():
            await self._admission.admitted.wait()
        if self._halted.is_set():
            return False
        try:
            self._refresh(await self._services.progress.begin(self.id))
        except LookupError:  # it came while its thread was being forgotten
            self.halt(Wish.FORGET)
            return False
        return True

    @property
    def is_asker_known(self) -> bool:
        """By name, to whoever runs Parley."""
        return True

    @property
    def sites(self) -> tuple[str, ...]:
        """Where the personality's own sources have to be; empty: anywhere."""
        return ()

    def _show_progress(self, text: str) -> None:
        """The text of a ``Progress``."""
        raise NotImplementedError

    def _tell_refused(self, sentences: str) -> None:
        """The asker learns what was not read, and why."""
        raise NotImplementedError

    async def _gather(self, personality: Personality) -> None:
        """Keep what the question is answered from with it, before anybody is answered."""
        gathered = await gathered_for(
            self._services,
            self.turn,
            personality,
            person=self.fair_name,
            is_known=self.is_asker_known,
            sites=self.sites,
            max_tokens=self.max_tokens,
            halted=self._halted,
            tell=self._hear_of_reading,
        )
        if gathered is None or self._halted.is_set():
            return
        if gathered.refusals:
            self._tell_refused(" ".join(gathered.refusals))
        if gathered.sources:
            keep = self._services.progress.add_sources
            try:
                self._refresh(await keep(self.id, self.turn.text, gathered.sources))
            except LookupError:  # its thread was forgotten meanwhile
                self.halt(Wish.FORGET)

    def _hear_of_reading(self, text: str) -> None:
        self._admissions.step_aside(self._admission)
        self._show_progress(text)

    async def _generate(self) -> Ending:
        """A remote engine may refuse a prompt as too long after it took it: then with less."""
        personality = await self._speaker()
        self._personality, self._speaking = personality.name, personality
        await self._gather(personality)
        for fittings_left in reversed(range(_MAX_FITTINGS)):
            generation = await self._submit(await self._request(personality))
            if generation is None:
                break
            draft = Draft(personality.reasoning, answer=self._begun, before=self.turn.above)
            try:
                last = await self._stream(generation, draft)
            except PromptTooLong:
                if not fittings_left:
                    raise
            else:
                return draft.end(last, stopped=self.wish is not None)
        return STOPPED

    async def _speaker(self) -> Personality:
        return await self._services.personality_of(self.place)

    async def _request(self, personality: Personality) -> GenerationRequest:
        turns = await self._services.progress.turns(self.place)
        self._look_at(personality, turns)
        generator = await self._services.generator_for(personality.model)
        self._model = generator.name
        built = await prompt.build(
            generator,
            personality,
            turns,
            self.turn,
            max_tokens=self.max_tokens,
            begun=self._begun,
        )
        return GenerationRequest(
            messages=built.messages,
            person=self.fair_name,
            thread=str(self.place),
            scope=self.place.workspace_form,
            sampling=personality.sampling,
            loop_guard=personality.loop_guard,
            max_tokens=built.max_tokens,
            model=personality.model,
        )

    async def _submit(self, request: GenerationRequest) -> Generation | None:
        """None if the turn was halted before.

        A turn that the engine has no room for waits as queued: that was no attempt.
        """
        while not self._halted.is_set():
            self._times.submit()
            try:
                generation = await self._services.answering.generate(
                    request, self._speaking, self.turn.files
                )
            except QueueFull as full:
                await self._services.progress.put_back(self.id)
                self._admissions.refuse(self._admission, full.retry_after)
                await self._begin()
            else:
                self._admissions.accept(self._admission)
                return generation
        return None

    async def _stream(self, generation: Generation, draft: Draft) -> Finished:
        """Fill the draft; the last event. A failure of the engine is one, too."""
        self._generation = generation
        if self._halted.is_set():
            generation.cancel()
        try:
            async for event in generation:
                self._times.hear(event)
                match event:
                    case Queued() if event.place:
                        self._admissions.note(self._admission, event.place)
                    case Queued() | Progress():
                        self._admissions.begin(self._admission)
                    case Finished():
                        self._model = event.model or self._model
                        return event
                    case Reasoning():
                        self._admissions.begin(self._admission)
                        draft.think(event.text)
                    case Delta():
                        self._admissions.begin(self._admission)
                        draft.say(event.text)
                self._take(event, draft)
        except EngineFailed as error:
            return Finished(FinishReason.ERROR, detail=str(error))
        finally:
            self._admissions.begin(self._admission)
            self._generation = None
            generation.cancel()
        return _NO_END

    def _refresh(self, turn: Turn) -> None:
        """Take the store's row, but for the posts: one may be on its way there."""
        self.turn = replace(turn, posts=self.turn.posts)

"""One turn, from its first step to its final edit."""

from __future__ import annotations

import logging
from functools import partial

from bot import prompt
from bot.attachments.attachments import sources_in
from bot.errors import (
    EmptyQuestion,
    EngineFailed,
    PlatformError,
    PromptTooLong,
    QueueFull,
    RequestError,
    sentence_for_people,
)
from bot.ports import Generation
from bot.reply import ReplyEditor
from bot.turns import as_file
from bot.turns.admission import Admission, AdmissionQueue
from bot.turns.closing import Closing
from bot.turns.draft import Draft
from bot.turns.ending import RETRY, STOPPED, Ending, failed
from bot.turns.live import LiveTurn, Wish
from bot.turns.parts import Parts
from bot.turns.reading import Reading
from bot.turns.waiting import Waiting
from bot.types import (
    Delta,
    Finished,
    GenerationRequest,
    Label,
    Personality,
    Queued,
    Reasoning,
    Turn,
)

logger = logging.getLogger(__name__)

THINKING = "Thinking…"
_MAX_FITTINGS = 4


class TurnRunner:
    """Runs turns; what a turn does is on disk before anybody could see it done.

    The final text is delivered before the turn is finished on disk: a process that is
    killed between the two answers again, into the same messages.
    """

    def __init__(self, parts: Parts, reading: Reading) -> None:
        self._parts = parts
        self._reading = reading
        self.admissions = AdmissionQueue(parts.clock)
        self.closing = Closing(parts)

    async def run(self, live: LiveTurn) -> None:
        """Until the turn has ended; from the start again if its question was edited."""
        while await self._must_run_again(live):
            pass

    async def conclude(self, live: LiveTurn, ending: Ending) -> None:
        """Give a turn that is not running its last word."""
        async with self._editor(live) as editor:
            await self._deliver(live, editor, ending)

    async def _must_run_again(self, live: LiveTurn) -> bool:
        """Run it once; whether its question was edited meanwhile."""
        try:
            if await self._was_overtaken(live):
                return True
        except Exception as error:  # one turn never takes others down
            await self._fail(live, error)
        return live.begin_again()

    async def _was_overtaken(self, live: LiveTurn) -> bool:
        """Run it to its end, unless its question is edited before."""
        async with self._editor(live) as editor:
            ending = await self._answer(live, editor)
            if live.begin_again():
                return True
            await self._deliver(live, editor, ending)
        return False

    async def _answer(self, live: LiveTurn, editor: ReplyEditor) -> Ending:
        waiting = Waiting(self._parts, editor, live.place)
        try:
            return await self._answer_in_line(live, editor, waiting)
        finally:
            waiting.end()

    async def _answer_in_line(
        self, live: LiveTurn, editor: ReplyEditor, waiting: Waiting
    ) -> Ending:
        await live.reach_the_front(waiting.behind)
        if live.is_given_up:
            return STOPPED
        if live.is_anew:
            live.refresh(await self._parts.store.requeue(live.id, attempts=0))
            live.is_anew = live.is_concluded = False
        live.admission = self.admissions.join(live.turn.person.id, waiting.in_line)
        try:
            if not await self._begin(live, live.admission):
                return STOPPED
            editor.wait(THINKING)
            await self._reading.read(live)
            return await self._generate(live, live.admission, editor, waiting)
        except (EmptyQuestion, PromptTooLong) as error:
            return failed(str(error))
        except (RequestError, EngineFailed) as error:
            return failed(f"{error} {RETRY}")
        finally:
            self.admissions.leave(live.admission)

    async def _generate(
        self, live: LiveTurn, admission: Admission, editor: ReplyEditor, waiting: Waiting
    ) -> Ending:
        """An engine far away may say only now that the prompt is too long: then with less."""
        personality = await self._parts.personality_of(live.place)
        for fittings_left in reversed(range(_MAX_FITTINGS)):
            request = await self._request(live.turn, personality)
            generation = await self._submit(live, admission, request)
            if generation is None:
                break
            draft = Draft(personality.reasoning)
            try:
                return await self._read(live, admission, generation, draft, editor, waiting)
            except PromptTooLong:
                if not fittings_left:
                    raise
        return STOPPED

    async def _begin(self, live: LiveTurn, admission: Admission) -> bool:
        """On disk, once it may try the engine; False if it was halted before."""
        if not live.halted.is_set():
            await admission.admitted.wait()
        if live.halted.is_set():
            return False
        live.refresh(await self._parts.store.begin(live.id))
        return True

    async def _submit(
        self, live: LiveTurn, admission: Admission, request: GenerationRequest
    ) -> Generation | None:
        """None if it was halted before.

        A turn that the engine has no room for waits as queued: that was no attempt.
        """
        store = self._parts.store
        while not live.halted.is_set():
            try:
                generation = await self._parts.generator.generate(request)
            except QueueFull as full:
                live.refresh(await store.requeue(live.id, attempts=live.turn.attempts - 1))
                self.admissions.refuse(admission, full.retry_after)
                await self._begin(live, admission)
            else:
                self.admissions.accept(admission)
                return generation
        return None

    async def _request(self, turn: Turn, personality: Personality) -> GenerationRequest:
        built = await prompt.build(
            await self._parts.generator_for(personality.model),
            personality,
            await self._parts.store.turns(turn.place),
            turn,
            max_tokens=self._parts.rules.max_tokens,
        )
        return GenerationRequest(
            messages=built.messages,
            person=turn.person.id,
            thread=str(turn.place),
            scope=turn.place.workspace_form,
            sampling=personality.sampling,
            loop_guard=personality.loop_guard,
            max_tokens=built.max_tokens,
            model=personality.model,
        )

    async def _read(
        self,
        live: LiveTurn,
        admission: Admission,
        generation: Generation,
        draft: Draft,
        editor: ReplyEditor,
        waiting: Waiting,
    ) -> Ending:
        live.attach(generation)
        try:
            async for event in generation:
                if isinstance(event, Queued):
                    self.admissions.note(admission, event.place)
                else:
                    self.admissions.begin(admission)
                match event:
                    case Queued(loading=model) if model:
                        waiting.loading(model)
                    case Queued():
                        waiting.in_line(event.place, event.wait)
                    case Reasoning():
                        editor.wait(THINKING)
                        draft.think(event.text)
                    case Delta():
                        draft.say(event.text)
                    case Finished():
                        return draft.end(event, stopped=live.wish is not None)
                if shown := draft.shown:
                    waiting.end()
                    editor.show(shown)
        except EngineFailed as error:
            return draft.fail(f"{error} {RETRY}")
        finally:
            self.admissions.begin(admission)
            live.detach()
        return draft.fail(f"The model ended without a word of why. {RETRY}")

    async def _deliver(self, live: LiveTurn, editor: ReplyEditor, ending: Ending) -> None:
        adapter = self._parts.adapters[live.place.adapter]
        sources = sources_in(live.turn.files) if ending.reply else ()
        self._parts.metrics.sources.labels(live.place.adapter).inc(len(sources))
        first = as_file.beginning(adapter, ending.shown)
        try:
            await editor.finish(first or ending.shown, sources)
            if first is not None:
                label = Label(live.id, 1, live.turn.message_id)
                message = await as_file.post_file(adapter, live.place, ending.shown, label)
                if message is not None:
                    await self._record(live, label.part, message)
        except PlatformError as error:
            logger.warning("the reply of turn %s could not be delivered: %s", live.id, error)
        await self.closing.finish(live, ending)

    async def _fail(self, live: LiveTurn, error: Exception) -> None:
        """Say so in the reply's own message, unless that has its last text already.

        The turn ends even where that is impossible.
        """
        live.search_first = True
        if not live.is_forgotten:
            logger.error("turn %s failed", live.id, exc_info=error)
        if live.told is not None:
            self._close_told(live, live.told)
            return
        ending = STOPPED if live.is_forgotten else failed(f"{sentence_for_people(error)} {RETRY}")
        try:
            await self.conclude(live, ending)
        except Exception:  # a platform's or the store's defect: of this turn, too
            logger.exception("the failure of turn %s could not be told", live.id)
            await self.closing.finish(live, ending)

    def _close_told(self, live: LiveTurn, ending: Ending) -> None:
        if not live.is_concluded:
            self.closing.finish_later(live, ending)

    def _editor(self, live: LiveTurn) -> ReplyEditor:
        turn, parts = live.turn, self._parts
        return ReplyEditor(
            parts.adapters[turn.place.adapter],
            parts.budgets[turn.place.adapter],
            parts.clock,
            place=turn.place,
            turn_id=turn.id,
            record=partial(self._record, live),
            posts=turn.posts,
            search_first=live.search_first,
            question_id=turn.message_id,
            on_stop=partial(live.halt, Wish.STOP),
        )

    async def _record(self, live: LiveTurn, part: int, message_id: str | None) -> None:
        live.note_post(part, message_id)
        if not live.is_forgotten:
            await self.closing.record(live)

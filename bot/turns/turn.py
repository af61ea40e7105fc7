"""One turn, from its first step to its final edit."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial

from bot import prompt
from bot.errors import (
    EngineFailed,
    ParleyError,
    PlatformError,
    PromptTooLong,
    QueueFull,
    RequestError,
    StorageFull,
)
from bot.ports import Generation
from bot.reply import ReplyEditor
from bot.tasks import TaskSet
from bot.turns.ending import RETRY, STOPPED, TRIED_TWICE, Ending, ending_of, failed
from bot.turns.line import Line, in_line
from bot.turns.live import LiveTurn, Wish
from bot.turns.parts import Parts
from bot.types import (
    Delta,
    Finished,
    GenerationRequest,
    Queued,
    Turn,
    TurnState,
)

logger = logging.getLogger(__name__)

THINKING = "Thinking…"
MAX_ATTEMPTS = 2
_DISK_POLL_SECONDS = 10.0


class TurnRunner:
    """Runs turns; what a turn does is on disk before anybody could see it done.

    The final text is delivered before the turn is finished on disk: a process that is
    killed between the two answers again, into the same messages.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._line = Line(parts.clock)
        self._queued: set[str] = set()
        self.background = TaskSet(parts.clock)

    async def run(self, live: LiveTurn) -> None:
        """Until the turn has ended; from the start again if its question was edited."""
        try:
            await self._run_once(live)
            while live.begin_again():
                live.turn = await self._parts.store.requeue(live.id, attempts=0)
                await self._run_once(live)
        except Exception as error:  # one turn never takes others down
            if not live.is_forgotten:
                await self._fail(live, error)

    async def conclude(self, live: LiveTurn, ending: Ending) -> None:
        """Give a turn that is not running its last word."""
        async with self._editor(live) as editor:
            await self._deliver(live, editor, ending)

    async def stop_unbegun(self, live: LiveTurn) -> None:
        """Silently, unless a message of ours waits to be filled."""
        if live.turn.posts:
            self.background.spawn(self.conclude(live, STOPPED))
        else:
            await self.finish(live, STOPPED)

    async def _run_once(self, live: LiveTurn) -> None:
        live.turn = await self._parts.store.begin(live.id)
        async with self._editor(live) as editor:
            editor.wait(THINKING)
            ending = await self._answer(live, editor)
            if live.wish is not Wish.RESTART:
                await self._deliver(live, editor, ending)

    async def _answer(self, live: LiveTurn, editor: ReplyEditor) -> Ending:
        if live.turn.attempts > MAX_ATTEMPTS:
            return TRIED_TWICE
        try:
            generation = await self._submit(live, editor)
        except PromptTooLong as error:
            return failed(f"{error} Please shorten the question.")
        except (RequestError, EngineFailed) as error:
            return failed(f"{error} {RETRY}")
        except LookupError:
            if live.is_forgotten:
                return STOPPED
            raise
        return await self._read(live, generation, editor) if generation else STOPPED

    async def _submit(self, live: LiveTurn, editor: ReplyEditor) -> Generation | None:
        request = await self._request(live.turn)

        def show_place(place: int) -> None:
            editor.wait(in_line(len(self._queued) + place))

        return await self._line.submit(self._attempt(live, request), show_place, live.halted)

    async def _request(self, turn: Turn) -> GenerationRequest:
        personality = await self._parts.personality_of(turn.place)
        built = await prompt.build(
            self._parts.generator,
            personality,
            await self._parts.store.turns(turn.place),
            turn,
            max_tokens=self._parts.rules.max_tokens,
        )
        return GenerationRequest(
            messages=built.messages,
            person=turn.person.id,
            thread=str(turn.place),
            sampling=personality.sampling,
            max_tokens=built.max_tokens,
        )

    def _attempt(
        self, live: LiveTurn, request: GenerationRequest
    ) -> Callable[[], Awaitable[Generation]]:
        """A turn that the engine has no room for waits as queued: that was no attempt."""
        store = self._parts.store

        async def attempt() -> Generation:
            if live.turn.state is TurnState.QUEUED:
                live.turn = await store.begin(live.id)
            try:
                return await self._parts.generator.generate(request)
            except QueueFull:
                live.turn = await store.requeue(live.id, attempts=live.turn.attempts - 1)
                raise

        return attempt

    async def _read(self, live: LiveTurn, generation: Generation, editor: ReplyEditor) -> Ending:
        text = ""
        live.attach(generation)
        try:
            async for event in generation:
                self._note_queued(live, is_queued=isinstance(event, Queued))
                match event:
                    case Queued():
                        editor.wait(in_line(event.place, event.wait))
                    case Delta():
                        text += event.text
                        editor.show(text)
                    case Finished():
                        return ending_of(text, event, stopped=live.wish is not None)
        except EngineFailed as error:
            return failed(f"{error} {RETRY}", text)
        finally:
            self._note_queued(live, is_queued=False)
            live.detach()
            self._line.move()
        return failed(f"The model ended without a word of why. {RETRY}", text)

    def _note_queued(self, live: LiveTurn, *, is_queued: bool) -> None:
        if is_queued:
            self._queued.add(live.id)
        else:
            self._queued.discard(live.id)

    async def _deliver(self, live: LiveTurn, editor: ReplyEditor, ending: Ending) -> None:
        try:
            await editor.finish(ending.shown)
        except PlatformError as error:
            logger.warning("the reply of turn %s could not be delivered: %s", live.id, error)
        await self.finish(live, ending)

    async def finish(self, live: LiveTurn, ending: Ending) -> None:
        """What a full disk cannot take now it gets later: the person has their reply."""
        try:
            await self._store(live, ending)
        except StorageFull as error:
            logger.error("the end of turn %s waits for room on disk: %s", live.id, error)
            self.background.spawn(self._finish_later(live, ending))

    async def _finish_later(self, live: LiveTurn, ending: Ending) -> None:
        await self._parts.clock.sleep(_DISK_POLL_SECONDS)
        await self.finish(live, ending)

    async def _store(self, live: LiveTurn, ending: Ending) -> None:
        if live.is_forgotten:
            return
        await self._parts.store.finish(
            live.id,
            ending.state,
            reply=ending.reply,
            reason=ending.reason,
            usage=ending.usage,
        )
        self._parts.metrics.turns.labels(live.place.adapter, ending.state.value).inc()
        if ending.reply:
            self.background.spawn(self._trim(live))

    async def _trim(self, live: LiveTurn) -> None:
        """Drop old turns in one big step now, so that the next question finds room."""
        parts = self._parts
        turns = [turn for turn in await parts.store.turns(live.place) if turn.state.is_finished]
        try:
            number = await prompt.trim(
                parts.generator,
                await parts.personality_of(live.place),
                turns,
                max_tokens=parts.rules.max_tokens,
            )
            if number is not None and not live.is_forgotten:
                await parts.store.keep_from(live.place, number)
        except ParleyError as error:
            logger.warning("a thread could not be trimmed: %s", error)

    async def _fail(self, live: LiveTurn, error: Exception) -> None:
        logger.error("turn %s failed", live.id, exc_info=error)
        why = str(error) if isinstance(error, ParleyError) else "Something went wrong inside me."
        live.turn = await self._parts.store.turn(live.id) or live.turn
        live.search_first = True
        await self.conclude(live, failed(f"{why} {RETRY}"))

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
        )

    async def _record(self, live: LiveTurn, part: int, message_id: str | None) -> None:
        """The reply goes on where this fails; a later process then has to search for it."""
        if live.is_forgotten:
            return
        try:
            if message_id is None:
                await self._parts.store.remove_post(live.id, part)
            else:
                await self._parts.store.add_post(live.id, part, message_id)
        except StorageFull as error:
            logger.error("a message of turn %s is not recorded: %s", live.id, error)

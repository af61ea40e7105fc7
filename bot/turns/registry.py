"""Every turn that is under way, and what people can do to one: stop, retry, edit, forget."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial

from bot.errors import OverLimit, StorageError
from bot.turns.lanes import Lanes
from bot.turns.live import LiveTurn, Wish
from bot.turns.parts import Parts
from bot.turns.turn import TurnRunner
from bot.types import Person, Place, Turn

logger = logging.getLogger(__name__)

_CROWDED_RETRY = 60.0


class Turns:
    def __init__(self, parts: Parts, runner: TurnRunner) -> None:
        self._parts = parts
        self._closing = runner.closing
        self.lanes = Lanes(runner.run, self._ended, parts.clock)
        self._reviving: set[str] = set()
        self._arriving: Counter[str] = Counter()

    async def begin(
        self, place: Place, person: Person, store: Callable[[], Awaitable[Turn | None]]
    ) -> None:
        """Begin the turn that ``store`` puts on disk, if it gives one.

        Raises ``OverLimit`` before, and counts without a pause after looking: of many who come
        at once no more are let in than one after another.
        """
        self._admit(place, person)
        channel, turn = place.channel_form, None
        self._arriving[channel] += 1
        try:
            turn = await store()
        finally:
            self._arriving[channel] -= 1
            if not self._arriving[channel]:
                del self._arriving[channel]
            if turn is None:
                self._parts.access.release(person)
        if turn is not None:
            self.lanes.add(LiveTurn(turn, admitted=True))

    def _admit(self, place: Place, person: Person) -> None:
        limit = self._parts.rules.max_waiting_per_channel
        waiting = self.lanes.num_in_channel(place) + self._arriving[place.channel_form]
        if limit and waiting >= limit:
            raise OverLimit(_crowded_sentence(waiting), _CROWDED_RETRY)
        self._parts.access.admit(person)

    def may_decide(self, turn: Turn, person: Person) -> bool:
        """Only the asker, or who is in charge, may stop or retry."""
        return turn.person.id == person.id or self._is_in_charge(person)

    def _is_in_charge(self, person: Person) -> bool:
        return person.is_moderator or self._parts.access.is_admin(person)

    def stop(self, live: LiveTurn) -> None:
        """At once, ahead of whatever the thread waits for."""
        self._give_up(live, Wish.STOP)

    def newest_of(self, place: Place, person: Person) -> LiveTurn | None:
        """What the word ``stop`` means: the speaker's own; for who is in charge else anybody's.

        One that is ending already is meant only if there is no other. A place without a
        thread is a whole channel, or a direct message.
        """
        live = self.lanes.of_thread(place) if place.thread else self.lanes.of_channel(place)
        own = [each for each in live if each.turn.person.id == person.id]
        if not own and self._is_in_charge(person):
            own = live
        going_on = [each for each in own if not each.is_given_up]
        meant = going_on or own
        return meant[-1] if meant else None

    async def retry(self, turn: Turn) -> None:
        """Answer a finished turn anew, into the same messages.

        Raises ``OverLimit``: a reply costs the same the second time.
        """
        if live := self.lanes.find(turn.id):
            if live.is_concluded and self.lanes.has_begun(live):
                live.halt(Wish.RESTART)
        elif turn.id not in self._reviving:
            self._reviving.add(turn.id)
            try:
                await self.begin(turn.place, turn.person, partial(self._revive, turn))
            finally:
                self._reviving.discard(turn.id)

    async def _revive(self, turn: Turn) -> Turn | None:
        """None if it was forgotten meanwhile."""
        try:
            return await self._parts.store.requeue(turn.id, attempts=0)
        except LookupError:
            logger.info("turn %s was forgotten before it could be answered again", turn.id)
            return None

    async def edit(self, turn: Turn, text: str) -> None:
        """The question reads ``text`` now; if it is the thread's newest it is answered anew.

        Raises ``OverLimit``; what was edited then stays edited.
        """
        await self._parts.store.edit_question(turn.id, text)
        live = self.lanes.find(turn.id)
        is_over = live.is_concluded if live else turn.state.is_finished
        if is_over:
            if await self._is_newest(turn):
                await self.retry(turn)
        elif live and self.lanes.has_begun(live):
            live.halt(Wish.RESTART)

    async def forget(self, place: Place) -> int:
        """Delete the thread with what is under way in it; how many turns it had."""
        for live in self.lanes.of_thread(place):
            self._give_up(live, Wish.FORGET)
        forgotten = await self._parts.store.forget(place)
        await self.let_go(place)
        return len(forgotten)

    async def let_go(self, place: Place) -> None:
        """The engine keeps nothing of what was said in the thread so far."""
        await self._closing.stop_reading(place)
        await self._parts.generator.forget(str(place), place.workspace_form)

    async def put_back(self) -> None:
        """End what runs without an ending: the next start finds it queued, never tried."""
        begun = self.lanes.begun
        await self.lanes.tasks.cancel()
        for live in begun:
            try:
                await self._parts.store.put_back(live.id)
            except StorageError:
                logger.error("turn %s could not be put back; it counts as tried", live.id)

    def _give_up(self, live: LiveTurn, wish: Wish) -> None:
        live.halt(wish)
        self.lanes.let_pass(live)

    async def _is_newest(self, turn: Turn) -> bool:
        turns = await self._parts.store.turns(turn.place)
        return bool(turns) and turns[-1].id == turn.id

    def _ended(self, live: LiveTurn) -> None:
        if live.admitted:
            self._parts.access.release(live.turn.person)


def _crowded_sentence(waiting: int) -> str:
    who = (
        "A question of this channel is"
        if waiting == 1
        else f"{waiting} questions of this channel are"
    )
    return f"{who} waiting; please ask again later."

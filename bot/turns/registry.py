"""Every turn that is under way, and what people can do to one: stop, retry, edit, forget."""

from __future__ import annotations

from bot.turns.lanes import Lanes
from bot.turns.live import LiveTurn, Wish
from bot.turns.parts import Parts
from bot.turns.turn import TurnRunner
from bot.types import Person, Place, Turn


class Turns:
    def __init__(self, parts: Parts, runner: TurnRunner) -> None:
        self._parts = parts
        self._runner = runner
        self.lanes = Lanes(runner.run, self._ended, parts.clock)
        self._reviving: set[str] = set()

    def begin(self, turn: Turn) -> None:
        """A question that was admitted and is on disk."""
        self.lanes.add(LiveTurn(turn, admitted=True))

    def may_decide(self, turn: Turn, person: Person) -> bool:
        """Only the asker or an admin may stop or retry."""
        return turn.person.id == person.id or self._parts.access.is_admin(person)

    async def stop(self, live: LiveTurn) -> None:
        """At once, ahead of whatever the thread waits for."""
        if self.lanes.remove(live):
            await self._runner.stop_unbegun(live)
        else:
            live.halt(Wish.STOP)

    def newest_of(self, place: Place, person: Person) -> LiveTurn | None:
        """What the word ``stop`` means: the speaker's own; for an admin else anybody's."""
        live = self.lanes.of_thread(place)
        own = [each for each in live if each.turn.person.id == person.id]
        if not own and self._parts.access.is_admin(person):
            own = live
        return own[-1] if own else None

    async def retry(self, turn: Turn) -> None:
        """Answer a finished turn anew, into the same messages.

        Raises ``OverLimit``: a reply costs the same the second time.
        """
        if turn.id in self._reviving or self.lanes.find(turn.id):
            return
        self._parts.access.admit(turn.person)
        self._reviving.add(turn.id)
        try:
            again = await self._parts.store.requeue(turn.id, attempts=0)
        except BaseException:
            self._parts.access.release(turn.person)
            raise
        finally:
            self._reviving.discard(turn.id)
        self.begin(again)

    async def edit(self, turn: Turn, text: str) -> None:
        """The question reads ``text`` now; if it is the thread's newest it is answered anew.

        Raises ``OverLimit``; what was edited then stays edited.
        """
        await self._parts.store.edit_question(turn.id, text)
        live = self.lanes.find(turn.id)
        if live is not None:
            if not self.lanes.waits(live):
                live.halt(Wish.RESTART)
        elif turn.state.is_finished and await self._is_newest(turn):
            await self.retry(turn)

    async def forget(self, place: Place) -> int:
        """Delete the thread with what is under way in it; how many turns it had."""
        for live in self.lanes.of_thread(place):
            if not self.lanes.remove(live):
                live.halt(Wish.FORGET)
        return len(await self._parts.store.forget(place))

    async def put_back(self) -> None:
        """End what runs without an ending: the next start finds it queued, never tried."""
        begun = self.lanes.begun
        await self.lanes.tasks.cancel()
        for live in begun:
            turn = await self._parts.store.turn(live.id)
            if turn and not (turn.state.is_finished or live.is_forgotten):
                await self._parts.store.requeue(turn.id, attempts=max(0, turn.attempts - 1))

    async def _is_newest(self, turn: Turn) -> bool:
        turns = await self._parts.store.turns(turn.place)
        return not turns or turns[-1].number <= turn.number

    def _ended(self, live: LiveTurn) -> None:
        if live.admitted:
            self._parts.access.release(live.turn.person)

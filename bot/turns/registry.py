"""Every turn that is not finished: its place in its thread, and the actions of people on it."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import TypeVar

from bot.chats import ADAPTER as CHATS
from bot.errors import OverLimit, StorageError
from bot.stored import Turn
from bot.tasks import TaskSet
from bot.turns.live import LiveTurn, Wish
from bot.turns.services import ContextTrimmer, Services
from bot.turns.spoken import asks
from bot.types import Person, Place

logger = logging.getLogger(__name__)

NewTurn = Callable[..., LiveTurn]
"""Takes the ``Turn``, and ``admitted`` or ``search_first``; see ``PostedTurn``."""

L = TypeVar("L", bound=LiveTurn | None)

_CROWDED_RETRY = 60.0


class ThreadQueues:
    """Every unfinished turn: held (recovered), waiting behind one of its thread, or begun.

    One turn of a thread runs at a time, in order; any number of threads do. A turn that waits
    has a task already, which shows so; a turn that was given up ends without waiting.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._live: dict[str, LiveTurn] = {}
        self._held: list[LiveTurn] = []
        self._waiting: dict[Place, deque[LiveTurn]] = {}
        self._begun: dict[Place, LiveTurn] = {}
        self.num_per_crowd: Counter[str] = Counter()
        self._paused = False
        self.tasks = TaskSet(services.clock)

    def find(self, turn_id: str) -> LiveTurn | None:
        return self._live.get(turn_id)

    def of_thread(self, place: Place) -> list[LiveTurn]:
        """The thread's unfinished turns, oldest first."""
        live = (each for each in self._live.values() if each.place == place)
        return sorted(live, key=lambda each: each.turn.number)

    def of_channel(self, place: Place) -> list[LiveTurn]:
        """The unfinished turns of all threads of a channel, in the order of their acceptance."""
        here = place.channel_form
        return [each for each in self._live.values() if each.place.channel_form == here]

    @property
    def begun(self) -> list[LiveTurn]:
        return list(self._begun.values())

    @property
    def num_begun(self) -> int:
        return len(self._begun)

    @property
    def num_waiting(self) -> int:
        return len(self._live) - len(self._begun)

    @property
    def is_moving(self) -> bool:
        """Whether a turn will end by itself; one that waits during a pause does not."""
        return bool(self._begun) or any(each.is_given_up for each in self._live.values())

    def add(self, live: LiveTurn) -> None:
        """Begin the turn, or queue it in its thread, after the held turns of that thread."""
        self._register(live)
        for held in [each for each in self._held if each.place == live.place]:
            self._held.remove(held)
            self._enqueue(held)
        self._enqueue(live)

    def hold(self, live: LiveTurn) -> None:
        """Keep the turn until ``release_next``, or until its thread gets another turn."""
        self._register(live)
        self._held.append(live)

    def release_next(self) -> LiveTurn | None:
        """Queue the oldest held turn; None if there is none."""
        if not self._held or self._paused:
            return None
        live = self._held.pop(0)
        self._enqueue(live)
        return live

    def has_begun(self, live: LiveTurn) -> bool:
        return self._begun.get(live.place) is live

    def let_pass(self, live: LiveTurn) -> None:
        """The turn was given up: it ends at once, ahead of the others of its thread."""
        if live in self._held:
            self._held.remove(live)
            self.tasks.spawn(self._drive(live))
        elif live in self._waiting.get(live.place, ()):
            self._waiting[live.place].remove(live)
            self._move_up(live.place)

    def pause(self) -> None:
        """No turn begins any more; those that have begun go on."""
        self._paused = True

    def _register(self, live: LiveTurn) -> None:
        self._live[live.id] = live
        self.num_per_crowd[live.crowd] += 1

    def _enqueue(self, live: LiveTurn) -> None:
        self._waiting.setdefault(live.place, deque()).append(live)
        self._move_up(live.place)
        self.tasks.spawn(self._drive(live))

    def _move_up(self, place: Place) -> None:
        waiting = self._waiting.get(place, deque())
        if waiting and place not in self._begun and not self._paused:
            live = self._begun[place] = waiting.popleft()
            live.may_go_on.set()
        line = [each for each in (self._begun.get(place), *waiting) if each]
        for num_ahead, (ahead, live) in enumerate(pairwise(line), start=1):
            live.wait_behind(ahead, num_ahead)
        if not waiting:
            self._waiting.pop(place, None)

    async def _drive(self, live: LiveTurn) -> None:
        try:
            await live.run()
        finally:  # no await after the run: nobody may halt a turn that has ended
            if self._begun.get(live.place) is live:
                del self._begun[live.place]
            elif live in self._waiting.get(live.place, ()):
                self._waiting[live.place].remove(live)
            del self._live[live.id]
            self.num_per_crowd[live.crowd] -= 1
            if not self.num_per_crowd[live.crowd]:
                del self.num_per_crowd[live.crowd]
            live.ended.set()
            if live.admitted:
                self._services.access.release(live.turn.person)
            self._move_up(live.place)


class Turns:
    """The actions of people on turns: begin, stop, retry, go on, edit and forget."""

    def __init__(self, services: Services, trimmer: ContextTrimmer, new_turn: NewTurn) -> None:
        self._services = services
        self._trimmer = trimmer
        self._new_turn = new_turn
        self.queues = ThreadQueues(services)
        self._reviving: set[str] = set()
        self._arriving: Counter[str] = Counter()

    async def begin(
        self, place: Place, person: Person, store: Callable[[], Awaitable[Turn | None]]
    ) -> None:
        """Begin the turn that ``store`` puts on disk, if it gives one. Raises ``OverLimit``."""

        async def make() -> LiveTurn | None:
            turn = await store()
            return None if turn is None else self._new_turn(turn, admitted=True)

        await self.enter(make, place.channel_form, person)

    async def enter(
        self,
        make: Callable[[], Awaitable[L]],
        crowd: str,
        person: Person | None,
        noun: str = "channel",
    ) -> L:
        """Begin the turn that ``make`` puts on disk, if it gives one.

        ``crowd``: that of ``LiveTurn``, which sentences call ``noun``. ``person``: whom limits
        count, if anybody. Raises ``OverLimit`` before, and counts without a pause after looking:
        of many who come at once no more are let in than one after another.
        """
        limit, is_made = self._services.rules.max_waiting_per_channel, False
        num_waiting = self.queues.num_per_crowd[crowd] + self._arriving[crowd]
        if limit and num_waiting >= limit:
            raise OverLimit(_crowded_sentence(num_waiting, noun), _CROWDED_RETRY)
        if person is not None:
            self._services.access.admit(person)
        self._arriving[crowd] += 1
        try:
            live = await make()
            is_made = live is not None
        finally:
            self._arriving[crowd] -= 1
            if not self._arriving[crowd]:
                del self._arriving[crowd]
            if person is not None and not is_made:
                self._services.access.release(person)
        if live is not None:
            self.queues.add(live)
        return live

    def may_decide(self, turn: Turn, person: Person) -> bool:
        """Only the asker, a moderator or an admin may stop, retry or continue."""
        return turn.person.id == person.id or self._is_in_charge(person)

    def _is_in_charge(self, person: Person) -> bool:
        return person.is_moderator or self._services.access.is_admin(person)

    def stop(self, live: LiveTurn) -> None:
        """Stop the turn at once, wherever it stands in its thread."""
        self._give_up(live, Wish.STOP)

    def newest_of(self, place: Place, person: Person) -> LiveTurn | None:
        """The turn that ``stop`` means: the speaker's own, or for admins and moderators any.

        One that is ending already is meant only if there is no other. A place without a
        thread is a whole channel, or a direct message.
        """
        live = self.queues.of_thread(place) if place.thread else self.queues.of_channel(place)
        own = [each for each in live if each.turn.person.id == person.id]
        if not own and self._is_in_charge(person):
            own = live
        going_on = [each for each in own if not each.is_given_up]
        meant = going_on or own
        return meant[-1] if meant else None

    def as_seen(self, turn: Turn) -> Turn:
        """With its end as soon as people see that: it has buttons, and the disk comes after.

        What was given up while it waited cannot be answered again before that is on disk.
        """
        live = self.queues.find(turn.id)
        end = live.ending if live and self.queues.has_begun(live) else None
        if turn.state.is_finished or end is None:
            return turn
        return replace(turn, state=end.state, reply=end.reply, finish_reason=end.reason)

    async def retry(self, turn: Turn) -> None:
        """Answer a finished turn anew, into the same messages.

        Raises ``OverLimit``: a reply costs the same the second time.
        """
        await self._answer_more(turn, Wish.RESTART)

    async def go_on(self, turn: Turn) -> None:
        """Continue the reply of a finished turn that can be continued, in the same messages.

        Raises ``OverLimit``.
        """
        await self._answer_more(turn, Wish.GO_ON)

    async def _answer_more(self, turn: Turn, wish: Wish) -> None:
        if live := self.queues.find(turn.id):
            if (live.ending or live.is_concluded) and self.queues.has_begun(live):
                live.halt(wish)
        elif turn.id not in self._reviving:
            self._reviving.add(turn.id)
            try:
                revive = partial(self._revive, turn, goes_on=wish is Wish.GO_ON)
                await self.begin(turn.place, turn.person, revive)
            finally:
                self._reviving.discard(turn.id)

    async def _revive(self, turn: Turn, *, goes_on: bool) -> Turn | None:
        """None if it was forgotten meanwhile."""
        try:
            return await self._services.progress.requeue(turn.id, goes_on=goes_on)
        except LookupError:
            logger.info("turn %s was forgotten before it could be answered again", turn.id)
            return None

    async def edit(self, turn: Turn, text: str) -> None:
        """The question reads ``text`` now; if it is the thread's newest it is answered anew.

        Raises ``OverLimit``; what was edited then stays edited.
        """
        await self._services.progress.edit_question(turn.id, text)
        live = self.queues.find(turn.id)
        is_over = live.is_concluded if live else turn.state.is_finished
        if is_over:
            if await self._is_newest(turn):
                await self.retry(turn)
        elif live and self.queues.has_begun(live):
            live.halt(Wish.RESTART)
        elif live and live.is_given_up:
            self._services.tasks.spawn(self._retry_once_ended(live))
        elif live and live.turn.reply:  # it waits to continue the answer to another question
            await self._services.progress.requeue(turn.id)

    async def _retry_once_ended(self, live: LiveTurn) -> None:
        await live.ended.wait()
        with suppress(OverLimit):
            if await self._is_newest(live.turn):
                await self.retry(live.turn)

    async def withdraw(self, turn: Turn, text: str) -> None:
        """The question's message reads ``text`` now, which asks nothing: it is not answered."""
        await self._services.progress.edit_question(turn.id, text)
        if live := self.queues.find(turn.id):
            self.stop(live)

    async def forget(self, place: Place) -> int:
        """Delete the thread with what is under way in it, or comes meanwhile; how many turns."""
        self._give_up_all(self.queues.of_thread(place))
        forgotten = await self._services.retention.forget(place)
        came_meanwhile = (self.queues.find(turn.id) for turn in forgotten)
        self._give_up_all(live for live in came_meanwhile if live)
        if place.adapter == CHATS:
            await self._services.uploads.forget(place)
        await self.let_go(place)
        return len(forgotten)

    async def let_go(self, place: Place) -> None:
        """Have the engine drop its state of the thread."""
        await self._trimmer.stop(place)
        await self._services.generator.forget(str(place), place.workspace_form)

    async def put_back(self) -> None:
        """Cancel running turns without an ending: the next start finds them queued and untried."""
        begun = self.queues.begun
        await self.queues.tasks.cancel()
        for live in begun:
            try:
                await self._services.progress.put_back(live.id)
            except StorageError:
                logger.error("turn %s could not be put back; it counts as tried", live.id)

    def _give_up_all(self, forgotten: Iterable[LiveTurn]) -> None:
        for live in forgotten:
            self._give_up(live, Wish.FORGET)

    def _give_up(self, live: LiveTurn, wish: Wish) -> None:
        live.halt(wish)
        self.queues.let_pass(live)

    async def _is_newest(self, turn: Turn) -> bool:
        turns = await self._services.progress.turns(turn.place)
        newer = [each for each in turns if each.number > turn.number]
        return turn.id in [each.id for each in turns] and not any(map(asks, newer))


def _crowded_sentence(waiting: int, noun: str) -> str:
    who = (
        f"A question of this {noun} is"
        if waiting == 1
        else f"{waiting} questions of this {noun} are"
    )
    return f"{who} waiting; please ask again later."

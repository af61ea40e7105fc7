"""The commands of people, which ask nothing of the model: stop, retry, continue and others."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

from bot.capabilities import Capabilities, CatchesUp
from bot.errors import (
    AccessDenied,
    NotPermitted,
    OverLimit,
    PlatformError,
    StorageError,
    UnknownPersonality,
)
from bot.stored import Turn
from bot.turns.help import HOW_TO_CHOOSE, bullets, help_text, scope_of
from bot.turns.notices import NOT_YOURS, Notices
from bot.turns.registry import Turns
from bot.turns.services import Services
from bot.turns.spoken import asks
from bot.types import Choice, Command, Person, Place, Question, Standing

logger = logging.getLogger(__name__)

_HELP_CHOICES = (
    Choice("Personalities", "personality"),
    Choice("Status", "status"),
    Choice("Help", "help"),
)

_OF_A_THREAD = frozenset({"stop", "retry", "continue", "forget", "status"})

HEARD = (
    "I answer everybody who writes into this channel; nobody needs to mention me. "
    "`listen off` ends that."
)
NOT_HEARD = "In this channel I answer who mentions me. `listen on` makes me answer everybody."
NO_MENTION = "Here the two of us are alone, and you need not mention me."
_ADMINS_CHANNEL = "Only an admin can set a channel's personality."
_IN_A_THREAD = " For a thread of yours, mention me there with the same words."
CATCH_UP = (
    "Sum up what was said in this channel: the topics, what was decided, and what is still open, "
    "with the names of who said it."
)
CATCHING_UP = "I am telling you in a private message what was said here."
NOBODY_ELSE = "Here the two of us are alone; say that in a channel."
NOTHING_SAID = "Nothing was said here in the last week."
NO_READING = "I cannot read here what was said before."
NOT_TOLD = "I may not write to you in private; please allow direct messages, then ask again."
NOT_READ = "I could not read what was said here; if I am not in this channel, please invite me."
NOTHING_TO_STOP = "There is nothing of yours to stop here."
NOTHING_TO_CONTINUE = "There is nothing to continue here: no answer was stopped or cut off."
NOT_NEWEST = "Only the newest answer of a thread can be given again."
UNDER_WAY = "The last question is still being answered."


class Commands:
    """Each takes effect before it returns, but those that take their time: those are on disk then.

    Its answer follows at the platform's pace.
    """

    def __init__(self, services: Services, turns: Turns, notices: Notices) -> None:
        self._services = services
        self._turns = turns
        self._notices = notices
        self._by_name: dict[str, Callable[[Command], Awaitable[None]]] = {
            "stop": self._stop,
            "retry": self._retry,
            "continue": self._continue,
            "forget": self._forget,
            "status": self._status,
            "help": self._help,
            "personality": self._personality,
            "listen": self._listen,
            "catch up": self._catch_up,
            "greet": self._greet,
        }

    async def take(self, command: Command) -> None:
        """Run a platform's own command once, however often it is delivered."""
        try:
            self._services.access.check(command.place, command.person, is_direct=False)
        except AccessDenied as error:
            self._notices.refuse(command, str(error))
            return
        command = await self._meant(command)
        if await self.note(command):
            await self.run(command)

    async def note(self, command: Command) -> bool:
        """Store it; False if it was stored before. What takes its time is kept until it is done."""
        if command.name == "catch up" or _is_forgotten_in_time(command):
            return await self._services.deliveries.owe(replace(command, about=""))
        return await self._services.deliveries.accept_event(command)

    async def _meant(self, command: Command) -> Command:
        """What can be said outside of threads only means the person's newest thread there."""
        if not command.is_private or command.name not in _OF_A_THREAD:
            return command
        here, person = command.place.channel_form, command.person
        found = await self._services.directory.threads(person.id)
        newest = next((each for each in found if each.place.channel_form == here), None)
        if command.name == "stop" and (live := self._turns.newest_of(command.place, person)):
            newest = await self._services.directory.summary(live.place)
        if newest is None:
            return command
        return replace(
            command, place=newest.place, about=newest.title if newest.place.thread else ""
        )

    async def run(self, command: Command) -> None:
        await self._by_name.get(command.name, self._help)(command)

    async def _stop(self, command: Command) -> None:
        live = self._turns.newest_of(command.place, command.person)
        if live is None:
            self._notices.tell(command, NOTHING_TO_STOP)
        else:
            self._turns.stop(live)
            self._confirm(command, "Stopped.")

    def _confirm(self, command: Command, what: str) -> None:
        """Everybody sees it happen; only a person whose platform awaits an answer gets one."""
        if command.awaits_answer:
            self._notices.tell(command, what)

    async def _retry(self, command: Command) -> None:
        """The argument of a button is the turn that it stands under."""
        turns = await self._questions(command.place)
        if not turns:
            self._notices.say(command, "There is nothing here to answer again.")
        elif command.argument not in ("", turns[-1].id):
            self._notices.tell(command, NOT_NEWEST)
        elif not self._turns.may_decide(turns[-1], command.person):
            self._notices.tell(command, NOT_YOURS)
        elif not turns[-1].state.is_finished:
            self._tell(command, UNDER_WAY)
        else:
            await self._answer(command, self._turns.retry(turns[-1]), "I am answering again.")

    async def _continue(self, command: Command) -> None:
        """The argument of a button is the turn that it stands under."""
        turns = await self._questions(command.place)
        meant = [turn for turn in turns if command.argument in ("", turn.id)]
        cut_off = [turn for turn in meant if turn.can_continue]
        theirs = [turn for turn in cut_off if self._turns.may_decide(turn, command.person)]
        if turns and not turns[-1].state.is_finished:
            self._tell(command, UNDER_WAY)
        elif not cut_off:
            self._tell(command, NOTHING_TO_CONTINUE)
        elif not theirs:
            self._notices.tell(command, NOT_YOURS)
        else:
            await self._answer(command, self._turns.go_on(theirs[-1]), "I am going on.")

    async def _questions(self, place: Place) -> list[Turn]:
        turns = await self._services.progress.turns(place)
        return [self._turns.as_seen(turn) for turn in turns if asks(turn)]

    def _tell(self, command: Command, what: str) -> None:
        """A press concerns nobody else, and what is written everybody has read."""
        (self._notices.tell if command.argument else self._notices.say)(command, what)

    async def _answer(self, command: Command, answering: Awaitable[None], what: str) -> None:
        try:
            await answering
            self._confirm(command, what)
        except OverLimit as error:
            self._notices.tell(command, str(error))

    async def _forget(self, command: Command) -> None:
        """All backups are made rid of it, too: a platform that awaits an answer does not wait."""
        if _is_forgotten_in_time(command):
            self._notices.tasks.spawn(self._forget_in_time(command))
        else:
            await self._forget_now(command)

    async def _forget_in_time(self, command: Command) -> None:
        try:
            await self._forget_now(command)
        except StorageError as error:
            logger.error("a thread could not be forgotten: %s", error.detail)
            self._notices.tell(command, str(error))
        await self._services.settle(command)

    async def _forget_now(self, command: Command) -> None:
        if await self._others_spoke(command) and not self._is_admin(command.person):
            self._notices.tell(
                command, "Others spoke in this thread, so only an admin can make me forget it."
            )
            return
        num_turns = await self._turns.forget(command.place)
        self._notices.say(command, _forgotten(num_turns))

    async def _others_spoke(self, command: Command) -> bool:
        return bool(await self._services.directory.speakers(command.place) - {command.person.id})

    async def _status(self, command: Command) -> None:
        place, queues = command.place, self._turns.queues
        personality = await self._services.personality_of(place)
        turns = await self._services.progress.turns(place)
        lines = (
            f"Model: {personality.model or self._services.generator.name}",
            f"Questions: {queues.num_begun} under way, {queues.num_waiting} waiting",
            f"Personality of this thread: {personality.name}",
            f"Context: {_count(len(turns), 'turn')} of this thread",
            f"Left for you: {self._allowance(command.person)}",
        )
        self._notices.say(command, bullets(lines))

    async def standing(self, place: Place, person: Person) -> Standing:
        """For the person alone, as in a direct message. Raises ``AccessDenied``."""
        self._services.access.check(place, person, is_direct=True)
        personality = await self._services.personality_of(place)
        return Standing(
            personality=personality,
            model=personality.model or self._services.generator.name,
            left=self._allowance(person),
            retention_days=self._services.rules.retention_days,
        )

    def _allowance(self, person: Person) -> str:
        left = self._services.access.remainder(person)
        at_once = "any number of questions" if left.in_flight is None else _count(left.in_flight)
        if left.per_minute is None:
            return f"{at_once} at once"
        return f"{at_once} at once, {_count(left.per_minute)} this minute"

    async def _help(self, command: Command) -> None:
        text = help_text(
            command,
            await self._services.personality_of(command.place),
            self._services.personalities.names,
            Capabilities.of(self._services.adapters[command.place.adapter]),
        )
        choices = () if command.is_private else _HELP_CHOICES  # presses are answered to everybody
        self._notices.say(command, text, choices)

    async def _greet(self, command: Command) -> None:
        """The platform reports that somebody has just added Parley to a place."""
        personality = await self._services.personality_of(command.place)
        hello = personality.greeting or f"Hello, I am {personality.title}."
        questions = [Choice(text, text) for text in personality.suggested_questions]
        self._notices.say(
            command,
            f"{hello}\n\nAsk me anything; say `help` for what else I can do.",
            (*questions, *_HELP_CHOICES),
        )

    async def _personality(self, command: Command) -> None:
        name, _, scope = command.argument.strip().lower().partition(" ")
        if not name:
            await self._list_personalities(command)
        elif scope.strip() == "channel":
            await self._set_for_channel(command, name)
        else:
            await self._set_for_thread(command, name)

    async def _list_personalities(self, command: Command) -> None:
        current, scope = await self._services.personality_of(command.place), scope_of(command)
        there_are = self._services.personalities.all()
        lines = [f"`{each.name}`: {each.description or each.title}" for each in there_are]
        what = "personality {}" + " channel" * (scope == "channel")
        self._notices.say(
            command,
            f"`{current.name}` answers in this {scope}. There are:\n{bullets(lines)}\n\n"
            f"{HOW_TO_CHOOSE[scope]}",
            [Choice(each.title, what.format(each.name)) for each in there_are],
        )

    async def _set_for_thread(self, command: Command, name: str) -> None:
        if title := self._title(command, name):
            await self._services.thread_settings.set_personality(command.place, name)
            self._notices.say(command, f"{title} answers in this thread from now on.")

    async def _set_for_channel(self, command: Command, name: str) -> None:
        outside = command.is_private and not command.place.thread
        if not self._is_admin(command.person):
            self._notices.tell(command, _ADMINS_CHANNEL + (_IN_A_THREAD if outside else ""))
        elif title := self._title(command, name):
            await self._services.thread_settings.set_channel_personality(command.place, name)
            self._notices.say(
                command,
                f"{title} answers in this channel from now on, "
                "except in threads that have a personality of their own.",
            )

    async def _listen(self, command: Command) -> None:
        place, listening = command.place, self._services.listening
        if command.is_direct:
            self._notices.tell(command, NO_MENTION)
            return
        if command.argument and not self._is_admin(command.person):
            self._notices.tell(command, "Only an admin can decide that.")
            return
        deaf = Capabilities.of(self._services.adapters[place.adapter]).may_be_deaf
        if command.argument == "on" and deaf and (why := deaf.why_deaf()):
            self._notices.tell(command, why)
            return
        if command.argument:
            await listening.turn(place, is_on=command.argument == "on")
        self._notices.say(command, HEARD if listening.hears(place) else NOT_HEARD)

    async def _catch_up(self, command: Command) -> None:
        """Reading takes its time, and nobody waits for it."""
        self._notices.tasks.spawn(self._catch_up_in_time(command))

    async def _catch_up_in_time(self, command: Command) -> None:
        catches = Capabilities.of(self._services.adapters[command.place.adapter]).catches_up
        if command.is_direct:
            self._notices.tell(command, NOBODY_ELSE)
        elif catches is None:
            self._notices.tell(command, NO_READING)
        else:
            await self._catch_up_on(catches, command)
        await self._services.settle(command)

    async def _catch_up_on(self, catches: CatchesUp, command: Command) -> None:
        told = partial(self._tell_privately, catches, command)
        try:
            await self._turns.begin(command.place, command.person, told)
        except (AccessDenied, OverLimit, StorageError) as error:
            self._notices.tell(command, str(error))
        except PlatformError as error:
            logger.warning("nobody could be told what was said in a channel: %s", error)
            self._notices.tell(command, NOT_READ)

    async def _tell_privately(self, catches: CatchesUp, command: Command) -> Turn | None:
        """A question of the person's conversation with Parley, to which this was said before."""
        here, person, patiently = command.place, command.person, self._services.patiently
        self._services.access.check(here, person, is_direct=True)
        said = await patiently("earlier", here, lambda _: catches.lately(here, person))
        if not said:
            self._notices.tell(command, NOTHING_SAID)
            return None
        try:
            place, message_id = await patiently(
                "post", here, lambda _: catches.open_private(here, person)
            )
        except NotPermitted as error:
            raise AccessDenied(NOT_TOLD) from error
        question = Question(
            event_id=command.event_id,
            place=place,
            person=person,
            text=CATCH_UP,
            message_id=message_id,
            sent_at=self._services.clock.now(),
            is_direct=True,
        )
        turn = await self._services.deliveries.accept(question, said)
        if turn and place.channel_form != here.channel_form:
            self._notices.tell(command, CATCHING_UP)
        return turn

    def _title(self, command: Command, name: str) -> str | None:
        """None if there is no such personality; the person is told then."""
        try:
            return f"**{self._services.personalities.get(name).title}**"
        except UnknownPersonality as error:
            self._notices.tell(command, str(error))
            return None

    def _is_admin(self, person: Person) -> bool:
        return self._services.access.is_admin(person)


def _is_forgotten_in_time(command: Command) -> bool:
    return command.name == "forget" and command.awaits_answer


def _forgotten(num_turns: int) -> str:
    if not num_turns:
        return "There was nothing to forget here."
    return f"Forgotten: {_count(num_turns, 'turn')}. What you say next begins anew."


def _count(number: int, noun: str = "question") -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

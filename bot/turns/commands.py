"""The commands of people, which ask nothing of the model: stop, retry, continue and others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from bot.errors import AccessDenied, OverLimit, UnknownPersonality
from bot.turns.notices import NOT_YOURS, Notices
from bot.turns.registry import Turns
from bot.turns.services import Services
from bot.turns.spoken import asks
from bot.types import Choice, Command, Person, Place, Standing

_HELP_CHOICES = (
    Choice("Personalities", "personality"),
    Choice("Status", "status"),
    Choice("Help", "help"),
)

HEARD = (
    "I answer everybody who writes into this channel; nobody needs to mention me. "
    "`listen off` ends that."
)
NOT_HEARD = "In this channel I answer who mentions me. `listen on` makes me answer everybody."
NOTHING_TO_STOP = "There is nothing of yours to stop here."
NOTHING_TO_CONTINUE = "There is nothing to continue here: no answer was stopped or cut off."
NOT_NEWEST = "Only the newest answer of a thread can be given again."
UNDER_WAY = "The last question is still being answered."


class Commands:
    """Each takes effect before it returns; its answer follows at the platform's pace."""

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
            "greet": self._greet,
        }

    async def take(self, command: Command) -> None:
        """Run a platform's own command once, however often it is delivered."""
        try:
            self._services.access.check(command.place, command.person, is_direct=False)
        except AccessDenied as error:
            self._notices.refuse(command, str(error))
            return
        if await self._services.deliveries.accept_event(command):
            await self.run(command)

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
        turns = [turn for turn in await self._services.progress.turns(command.place) if asks(turn)]
        if not turns:
            self._notices.say(command, "There is nothing here to answer again.")
        elif not self._turns.may_decide(turns[-1], command.person):
            self._notices.tell(command, NOT_YOURS)
        elif command.argument not in ("", turns[-1].id):
            self._notices.tell(command, NOT_NEWEST)
        elif not turns[-1].state.is_finished:
            self._tell(command, UNDER_WAY)
        else:
            await self._answer(command, self._turns.retry(turns[-1]), "I am answering again.")

    async def _continue(self, command: Command) -> None:
        """The argument of a button is the turn that it stands under."""
        turns = [turn for turn in await self._services.progress.turns(command.place) if asks(turn)]
        meant = [turn for turn in turns if command.argument in ("", turn.id)]
        cut_off = [turn for turn in meant if turn.can_continue]
        if turns and not turns[-1].state.is_finished:
            self._tell(command, UNDER_WAY)
        elif not cut_off:
            self._tell(command, NOTHING_TO_CONTINUE)
        elif not self._turns.may_decide(cut_off[-1], command.person):
            self._notices.tell(command, NOT_YOURS)
        else:
            await self._answer(command, self._turns.go_on(cut_off[-1]), "I am going on.")

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
        self._notices.say(command, _bullets(lines))

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
        personality = await self._services.personality_of(command.place)
        names = ", ".join(f"`{name}`" for name in self._services.personalities.names)
        lines = (
            "`stop` ends the reply under way; so does a stop sign as a reaction",
            "`continue` goes on with an answer that was stopped or cut off",
            "`retry` answers your last question again; editing the question does, too",
            "`personality NAME` sets who answers in this thread "
            f"(now `{personality.name}`; there are {names})",
            "`personality NAME channel` does so for the channel (admins)",
            "`listen on` lets people ask in this channel without naming me, until "
            "`listen off` (admins)",
            "`forget` deletes what I remember of this thread",
            "`status` shows model, queue, context and what is left for you",
        )
        self._notices.say(
            command, f"Ask me anything, or say one of:\n{_bullets(lines)}", _HELP_CHOICES
        )

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
        current = await self._services.personality_of(command.place)
        lines = [
            f"`{each.name}`: {each.description or each.title}"
            for each in self._services.personalities.all()
        ]
        self._notices.say(
            command,
            f"`{current.name}` answers in this thread. There are:\n{_bullets(lines)}",
            [
                Choice(each.title, f"personality {each.name}")
                for each in self._services.personalities.all()
            ],
        )

    async def _set_for_thread(self, command: Command, name: str) -> None:
        if title := self._title(command, name):
            await self._services.thread_settings.set_personality(command.place, name)
            self._notices.say(command, f"{title} answers in this thread from now on.")

    async def _set_for_channel(self, command: Command, name: str) -> None:
        if not self._is_admin(command.person):
            self._notices.tell(command, "Only an admin can set a channel's personality.")
        elif title := self._title(command, name):
            await self._services.thread_settings.set_channel_personality(command.place, name)
            self._notices.say(
                command,
                f"{title} answers in this channel from now on, "
                "except in threads that have a personality of their own.",
            )

    async def _listen(self, command: Command) -> None:
        place, listening = command.place, self._services.listening
        if command.argument and not self._is_admin(command.person):
            self._notices.tell(command, "Only an admin can decide that.")
            return
        if command.argument:
            await listening.turn(place, is_on=command.argument == "on")
        self._notices.say(command, HEARD if listening.hears(place) else NOT_HEARD)

    def _title(self, command: Command, name: str) -> str | None:
        """None if there is no such personality; the person is told then."""
        try:
            return f"**{self._services.personalities.get(name).title}**"
        except UnknownPersonality as error:
            self._notices.tell(command, str(error))
            return None

    def _is_admin(self, person: Person) -> bool:
        return self._services.access.is_admin(person)


def _forgotten(num_turns: int) -> str:
    if not num_turns:
        return "There was nothing to forget here."
    return f"Forgotten: {_count(num_turns, 'turn')}. What you say next begins anew."


def _count(number: int, noun: str = "question") -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _bullets(lines: tuple[str, ...] | list[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)

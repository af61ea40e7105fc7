"""Whatever people do, and whatever fails: in the end nobody waits, and every limit is free."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.access import Remainder
from bot.errors import (
    EngineFailed,
    OverLimit,
    ParleyError,
    PlatformRefused,
    QueueFull,
    TextRefused,
    Unavailable,
)
from bot.generation import ChatMessage, CompletionRequest, FinishReason
from bot.ports import Generation
from bot.stored import Turn
from bot.turns.spoken import parse
from bot.types import Feedback, Person, Question, UnpostedQuestion
from tests.bot.talk import ADA, BOB, BOSS, Talk, place, talking
from tests.fakes.generator import ScriptedGeneration

PEOPLE = (ADA, BOB, BOSS)
THREADS = ("t1", "t2")
TEXTS = ("How?", "stop", "Why?", "retry", "", "help", "Who?", "forget")
MAX_IN_FLIGHT = 3
PROGRAM = Person("http:local/u")
_numbers = count(1)
FAULTS: tuple[ParleyError, ...] = (
    EngineFailed("The model failed."),
    QueueFull(2),
)


class Crowd:
    """Does what a number says: to whom, and to which question."""

    def __init__(self, talk: Talk) -> None:
        self.talk = talk
        self.questions: list[Question] = []
        self.programs: list[Generation] = []
        self.steps: dict[str, Callable[[int], Awaitable[None]]] = {
            "ask": self.ask,
            "stop": self.stop,
            "react": self.react,
            "edit": self.edit,
            "murmur": self.murmur,
            "rewrite": self.rewrite,
            "delete": self.delete,
            "retry": self.retry,
            "continue": self.go_on,
            "press": self.press,
            "vote": self.vote,
            "ask unposted": self.ask_unposted,
            "catch up": self.catch_up,
            "forget": self.forget,
            "speak": self.speak,
            "engine fails": self.engine_fails,
            "platform fails": self.platform_fails,
            "platform refuses": self.platform_refuses,
            "program": self.program,
            "hang up": self.hang_up,
            "time": self.time,
        }

    async def ask(self, n: int) -> None:
        self.questions.append(await self.say(f"Question {n}?", n))

    async def stop(self, n: int) -> None:
        await self.say("stop", n)

    async def retry(self, n: int) -> None:
        await self.say("retry", n)

    async def go_on(self, n: int) -> None:
        await self.say("continue", n)

    async def press(self, n: int) -> None:
        """A button under an answer."""
        if turns := await self.talk.store.turns(place(THREADS[n % 2])):
            name = ("retry", "continue")[n // 2 % 2]
            await self.talk.command(name, turns[n % len(turns)].id, PEOPLE[n % 3])

    async def vote(self, n: int) -> None:
        for message_id in list(self.talk.platform.messages)[-1 - n % 4 :][:1]:
            await self.talk.service.handle(
                Feedback(
                    event_id=f"vote {next(_numbers)}",
                    place=place(""),
                    person=PEOPLE[n % 3],
                    message_id=message_id,
                    rating=(1, -1)[n % 2],
                    is_pressed=True,
                )
            )

    async def ask_unposted(self, n: int) -> None:
        await self.talk.service.handle(
            UnpostedQuestion(
                event_id=f"command {next(_numbers)}",
                place=place(THREADS[n % 2]),
                person=PEOPLE[n % 3],
                text=("Unposted?", "continue", "")[n % 3],
            )
        )

    async def catch_up(self, n: int) -> None:
        await self.say("catch up", n)

    async def forget(self, n: int) -> None:
        await self.say("forget", n)

    async def say(self, text: str, n: int) -> Question:
        return await self.talk.ask(text, person=PEOPLE[n % 3], thread=THREADS[n % 2])

    async def react(self, n: int) -> None:
        if self.questions:
            question = self.question(n)
            await self.talk.react(question.message_id, "octagonal_sign", question.person)

    async def murmur(self, n: int) -> None:
        """What is no question yet: a lone mention, or words to somebody else."""
        text, is_mention = ("", True) if n % 2 else ("@bob?", False)
        message = await self.talk.ask(
            text,
            person=PEOPLE[n % 3],
            thread=THREADS[n % 2],
            is_mention=is_mention,
            mentions_others=True,
        )
        self.questions.append(message)

    async def edit(self, n: int) -> None:
        if self.questions:
            await self.talk.edit(self.question(n), f"Edited {n}?")

    async def rewrite(self, n: int) -> None:
        """Any message may become any other, and be delivered again as it was."""
        if self.questions:
            question = self.question(n)
            await self.talk.rewrite(question, TEXTS[n % len(TEXTS)], is_mention=n % 2 == 0)
            await self.talk.service.handle(question)

    async def delete(self, n: int) -> None:
        if self.questions:
            await self.talk.delete(self.question(n))

    def question(self, n: int) -> Question:
        return self.questions[-1 - n % len(self.questions)]

    async def speak(self, n: int) -> None:
        if running := self.unfinished():
            generation = running[n % len(running)]
            generation.say("So. ")
            if n % 2:
                generation.finish(list(FinishReason)[n % 5])

    def unfinished(self) -> list[ScriptedGeneration]:
        return [each for each in self.talk.generator.generations if each.finished is None]

    async def engine_fails(self, n: int) -> None:
        self.talk.generator.failures.append(FAULTS[n % len(FAULTS)])

    async def platform_fails(self, n: int) -> None:
        error = Unavailable("The platform is down.", ambiguous=n % 2 == 0)
        method = ("edit", "post", "post", "lately", "whisper")[n % 5]
        self.talk.platform.fail(method, error, has_effect=n % 4 == 0)

    async def platform_refuses(self, n: int) -> None:
        error = (TextRefused if n % 2 else PlatformRefused)("edit", "odd")
        self.talk.platform.fail("post" if n % 3 else "edit", error)

    async def program(self, n: int) -> None:
        request = CompletionRequest(
            account="local", user="u", messages=(ChatMessage("user", f"{n}?"),)
        )
        with suppress(OverLimit, EngineFailed, QueueFull):
            self.programs.append(await self.talk.service.complete(request))

    async def hang_up(self, n: int) -> None:
        if self.programs:
            self.programs.pop(n % len(self.programs)).cancel()

    async def time(self, n: int) -> None:
        await self.talk.clock.advance(n / 4)

    async def go_home(self) -> None:
        """The model ends what it writes, until nothing is left."""
        self.talk.generator.failures.clear()
        for program in self.programs:
            program.cancel()
        for _ in range(100):
            for generation in self.unfinished():
                generation.say("Done.")
                generation.finish()
            await self.talk.clock.advance(5)
            if not (self.unfinished() or await self.talk.store.unfinished()):
                return
        raise AssertionError(f"unfinished: {await self.talk.store.unfinished()}")


def is_a_wait(text: str) -> bool:
    return text.startswith(("Thinking", "Next in", "You are")) or " in line" in text


def is_a_command(asked: str) -> bool:
    """Whatever was said before, and whoever's name stands before it."""
    last = asked.rpartition("\n")[2]
    return parse(last) is not None or parse(last.partition(": ")[2]) is not None


def is_shown_once(talk: Talk, turn: Turn) -> bool:
    """Its answer stands in its own messages, and in no other that was posted for it."""
    messages = talk.platform.messages
    posts = [post.message_id for post in turn.posts]
    shown = "".join(messages[each].text for each in posts if each in messages)
    posted = {each.id for each in messages.values() if each.label.turn_id == turn.id}
    return posted <= set(posts) and shown.startswith(turn.reply.strip())


async def _scenario(folder: Path, scenario: list[tuple[str, int]]) -> None:
    async with talking(folder, max_in_flight=MAX_IN_FLIGHT) as talk:
        crowd = Crowd(talk)
        for name, number in scenario:
            await crowd.steps[name](number)
        await crowd.go_home()
        await talk.quiet()
        for person in (*PEOPLE, PROGRAM):
            assert talk.access.remainder(person) == Remainder(MAX_IN_FLIGHT, None)
        seen = [text for thread in THREADS for text in talk.visible(thread)]
        assert not [text for text in seen if is_a_wait(text)]
        assert not [each for each in talk.generator.generations if is_a_command(each.question)]
        assert not await talk.store.owed()
        for thread in THREADS:
            for turn in await talk.store.turns(place(thread)):
                assert is_shown_once(talk, turn), turn
        assert talk.service._turns.queues.num_waiting == talk.service._turns.queues.num_begun == 0


_names = st.sampled_from(
    ["ask"] * 6
    + ["speak", "time"] * 3
    + ["stop", "react", "edit", "rewrite", "rewrite", "murmur", "delete", "retry", "forget"]
    + ["continue", "press", "press", "vote", "ask unposted", "catch up"]
    + ["engine fails", "platform fails", "platform refuses", "program", "hang up"]
)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(_names, st.integers(0, 11)), min_size=3, max_size=30))
def test_in_the_end_nobody_waits_and_everybody_may_ask_as_much_as_at_first(
    scenario: list[tuple[str, int]],
) -> None:
    with TemporaryDirectory() as folder:
        asyncio.run(_scenario(Path(folder), scenario))

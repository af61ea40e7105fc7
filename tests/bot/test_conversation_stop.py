"""Stop is one mechanism with many triggers, and works wherever a turn stands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from bot.errors import QueueFull, RateLimited
from bot.generation import FinishReason, GenerationRequest
from bot.stored import TurnState
from bot.turns.commands import UNDER_WAY
from bot.turns.notices import NOT_YOURS
from bot.types import Question
from tests.bot.talk import ADA, BOB, BOSS, Talk, talking
from tests.fakes.generator import ScriptedGeneration, ScriptedGenerator
from tests.fakes.platform import RichFakePlatform

Trigger = Callable[[Talk, Question], Awaitable[object]]

TRIGGERS: dict[str, Trigger] = {
    "a reaction on the question": lambda t, q: t.react(q.message_id, "octagonal_sign"),
    "a raised hand of any colour": lambda t, q: t.react(q.message_id, "raised_hand::skin-tone-3"),
    "an admin's reaction": lambda t, q: t.react(q.message_id, "octagonal_sign", BOSS),
    "a button": lambda t, q: t.press_stop(q.message_id),
    "the word stop": lambda t, q: t.ask("Stop!"),
    "the word stop without a mention": lambda t, q: t.ask("stop", is_mention=False),
    "the platform's command": lambda t, q: t.command("stop"),
    "deleting the question": lambda t, q: t.delete(q),
}


@pytest.fixture
async def talk(tmp_path: Path) -> AsyncIterator[Talk]:
    async with talking(tmp_path) as talk:
        yield talk


@pytest.fixture(params=TRIGGERS.values(), ids=list(TRIGGERS))
def trigger(request: pytest.FixtureRequest) -> Trigger:
    trigger: Trigger = request.param
    return trigger


async def test_while_streaming_the_partial_text_stays_marked_as_stopped(
    talk: Talk, trigger: Trigger
) -> None:
    question = await talk.ask("How are you?")
    generation = await talk.generation()
    generation.say("I am fi")
    await talk.sees("I am fi")
    await trigger(talk, question)
    assert generation.is_cancelled
    turn = await talk.ended(question)
    assert (turn.state, turn.reply) == (TurnState.STOPPED, "I am fi")
    assert turn.finish_reason is FinishReason.CANCELLED
    assert talk.visible() == ["I am fi\n\n_(stopped)_"]


async def test_before_the_first_word_the_placeholder_says_stopped(
    talk: Talk, trigger: Trigger
) -> None:
    question = await talk.ask("How are you?")
    generation = await talk.generation()
    generation.queue(2)
    await talk.sees("You are 2nd in line…")
    await trigger(talk, question)
    assert (await talk.ended(question)).state is TurnState.STOPPED
    assert talk.visible() == ["Stopped."]


async def test_while_the_engine_is_full_the_turn_leaves_the_line(
    talk: Talk, trigger: Trigger
) -> None:
    talk.generator.failures.extend([QueueFull(3)] * 500)
    question = await talk.ask("How are you?")
    await talk.sees("You are next in line…")
    await trigger(talk, question)
    assert (await talk.ended(question)).state is TurnState.STOPPED
    assert talk.visible() == ["Stopped."]


async def test_behind_another_turn_of_the_thread_it_never_begins(
    talk: Talk, trigger: Trigger
) -> None:
    await talk.ask("One?", person=BOB)
    first = await talk.generation()
    question = await talk.ask("Two?")
    await talk.sees("Thinking…", "Next in this thread…")
    await trigger(talk, question)
    assert (await talk.ended(question)).state is TurnState.STOPPED
    assert talk.visible() == ["Thinking…", "Stopped."]
    first.say("First.")
    first.finish()
    await talk.quiet()
    assert talk.visible() == ["First.", "Stopped."]
    assert len(talk.generator.generations) == 1


async def test_the_thread_goes_on_after_a_stop(talk: Talk, trigger: Trigger) -> None:
    question = await talk.ask("One?")
    await talk.generation()
    await trigger(talk, question)
    await talk.answered("Two?", "Second.")
    assert talk.visible()[-1] == "Second."


async def test_a_reaction_on_the_reply_stops_it(talk: Talk) -> None:
    question = await talk.ask("How are you?")
    generation = await talk.generation()
    generation.say("I am fi")
    await talk.sees("I am fi")
    (message_id,) = talk.platform.messages
    await talk.react(message_id, "octagonal_sign")
    assert (await talk.ended(question)).state is TurnState.STOPPED


STRANGERS: dict[str, Trigger] = {
    "a stranger's reaction": lambda t, q: t.react(q.message_id, "octagonal_sign", BOB),
    "a stranger's button": lambda t, q: t.press_stop(q.message_id, BOB),
    "a stranger's word": lambda t, q: t.ask("stop", person=BOB),
    "a stranger's command": lambda t, q: t.command("stop", person=BOB),
    "another reaction": lambda t, q: t.react(q.message_id, "thumbsup"),
    "a word in a question": lambda t, q: t.ask("stop the car", thread="t2"),
}


@pytest.mark.parametrize("harmless", STRANGERS.values(), ids=list(STRANGERS))
async def test_what_does_not_stop_a_reply(talk: Talk, harmless: Trigger) -> None:
    question = await talk.ask("How are you?")
    generation = await talk.generation()
    await harmless(talk, question)
    await talk.quiet()
    generation.say("Fine.")
    generation.finish()
    assert (await talk.ended(question)).state is TurnState.DONE


async def test_who_presses_somebody_elses_stop_button_is_told_why_nothing_happens(
    talk: Talk,
) -> None:
    question = await talk.ask("How are you?")
    await talk.press_stop(question.message_id, BOB)
    await talk.until(lambda: bool(talk.whispers(BOB)))
    assert "Only the person who asked" in talk.whispers(BOB)[0]


@pytest.mark.parametrize("is_read_by_them_alone", [True, False])
async def test_who_reacts_with_a_stop_sign_is_told_so_where_nobody_else_reads_it(
    talk: Talk, is_read_by_them_alone: bool
) -> None:
    assert isinstance(talk.platform, RichFakePlatform)
    talk.platform.can_whisper_unasked = is_read_by_them_alone
    question = await talk.ask("How are you?")
    await talk.react(question.message_id, "octagonal_sign", BOB)
    await talk.quiet()
    assert talk.whispers(BOB) == ([NOT_YOURS] if is_read_by_them_alone else [])


async def test_the_word_stop_ends_the_speakers_newest_question_only(talk: Talk) -> None:
    first = await talk.ask("One?")
    bobs = await talk.ask("Two?", person=BOB)
    newest = await talk.ask("Three?")
    await talk.ask("stop")
    assert (await talk.ended(newest)).state is TurnState.STOPPED
    assert not (await talk.turn(first)).state.is_finished
    assert not (await talk.turn(bobs)).state.is_finished


async def test_the_word_stop_delivered_twice_stops_one_turn(talk: Talk) -> None:
    first = await talk.ask("One?")
    await talk.ask("Two?")
    await talk.ask("stop", message_id="s")
    await talk.ask("stop", message_id="s")
    assert not (await talk.turn(first)).state.is_finished


async def test_the_word_stop_again_at_once_stops_the_question_before(talk: Talk) -> None:
    await talk.ask("One?", person=BOB)
    questions = [await talk.ask("Two?"), await talk.ask("Three?")]
    await asyncio.gather(talk.ask("stop"), talk.ask("stop"))
    for question in questions:
        assert (await talk.ended(question)).state is TurnState.STOPPED


async def test_an_admin_who_asked_nothing_stops_the_newest_of_the_thread(talk: Talk) -> None:
    question = await talk.ask("One?")
    await talk.generation()
    await talk.ask("stop", person=BOSS)
    assert (await talk.ended(question)).state is TurnState.STOPPED


async def test_stop_with_nothing_to_stop_says_so(talk: Talk) -> None:
    await talk.ask("stop")
    await talk.until(lambda: bool(talk.whispers(ADA)))
    assert talk.whispers(ADA) == ["There is nothing of yours to stop here."]


async def test_stopped_text_is_what_the_next_prompt_sees(talk: Talk) -> None:
    question = await talk.ask("Count.")
    generation = await talk.generation()
    generation.say("One, two")
    await talk.react(question.message_id, "octagonal_sign")
    await talk.ended(question)
    await talk.answered("Go on.", "Three.")
    assert talk.generator.generations[-1].request.messages[2].content == "One, two"


class SlowGenerator(ScriptedGenerator):
    """Takes its time to queue a request."""

    def __init__(self) -> None:
        super().__init__()
        self.may_go_on = asyncio.Event()

    async def generate(self, request: GenerationRequest) -> ScriptedGeneration:
        await self.may_go_on.wait()
        return await super().generate(request)


async def test_while_the_request_is_handed_to_the_engine(tmp_path: Path) -> None:
    generator = SlowGenerator()
    async with talking(tmp_path, generator=generator) as talk:
        question = await talk.ask("How are you?")
        await talk.sees("Thinking…")
        await talk.react(question.message_id, "octagonal_sign")
        generator.may_go_on.set()
        assert (await talk.ended(question)).state is TurnState.STOPPED
        assert talk.visible() == ["Stopped."]


async def test_retry_waits_for_the_end_of_a_question_that_was_stopped_while_it_waited(
    talk: Talk,
) -> None:
    await talk.ask("One?")
    await talk.generation()
    waiting = await talk.ask("Two?")
    await talk.sees("Thinking…", "Next in this thread…")
    talk.platform.fail("edit", RateLimited("edit", 20.0))
    await talk.press_stop(waiting.message_id)
    await talk.clock.settle()
    await talk.ask("retry")
    await talk.sees("Thinking…", "Next in this thread…", UNDER_WAY)
    await talk.sees("Thinking…", "Stopped.", UNDER_WAY)

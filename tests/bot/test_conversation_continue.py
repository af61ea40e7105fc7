"""An answer that was stopped or cut off goes on from where it ended, in its own messages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from bot.errors import EngineFailed
from bot.generation import ChatMessage, FinishReason
from bot.limits import Limits
from bot.stored import TurnState
from bot.turns.commands import NOTHING_TO_CONTINUE, UNDER_WAY
from bot.types import Question
from tests.bot.machine import answering, running_machine
from tests.bot.talk import ADA, BOB, BOSS, Talk, TalkClock, talking
from tests.bot.test_conversation_refused import ButtonsFakePlatform
from tests.fakes.generator import ScriptedGenerator
from tests.fakes.platform import RichFakePlatform

CUT_OFF = "_(cut off at the length limit; say “continue” for more)_"
STOPPED = "_(stopped)_"
FULL = "This answer fills all that the model can see at once, so it cannot become longer."


@pytest.fixture
async def talk(tmp_path: Path) -> AsyncIterator[Talk]:
    async with talking(tmp_path) as talk:
        yield talk


async def cut_off(talk: Talk, text: str, reason: FinishReason = FinishReason.LENGTH) -> Question:
    question = await talk.ask("Tell me.")
    generation = await talk.generation()
    generation.say(text)
    generation.finish(reason)
    await talk.ended(question)
    return question


async def stopped(talk: Talk, text: str) -> Question:
    question = await talk.ask("Tell me.")
    (await talk.generation()).say(text)
    await talk.sees(text.strip())
    await talk.command("stop")
    await talk.ended(question)
    return question


async def test_an_answer_cut_off_at_its_length_goes_on_in_the_same_message(talk: Talk) -> None:
    question = await cut_off(talk, "Once upon")
    assert talk.visible() == [f"Once upon\n\n{CUT_OFF}"]
    await talk.ask("continue")
    generation = await talk.generation()
    await talk.sees("Once upon")
    assert generation.request.messages[-1] == ChatMessage("assistant", "Once upon", is_open=True)
    generation.say(" a time.")
    await talk.sees("Once upon a time.")
    generation.finish()
    turn = await talk.ended(question)
    assert (turn.reply, turn.state, turn.finish_reason) == (
        "Once upon a time.",
        TurnState.DONE,
        FinishReason.STOP,
    )
    assert turn.usage.completion_tokens == 4
    assert talk.visible() == ["Once upon a time."]


async def test_later_prompts_hold_the_answer_once_and_whole(talk: Talk) -> None:
    await stopped(talk, "Once upon")
    talk.generator.replies += [" a time.", "Fine."]
    await talk.ask("continue")
    await talk.sees("Once upon a time.")
    await talk.ask("And then?")
    await talk.sees("Once upon a time.", "Fine.")
    said = [each.content for each in talk.generator.generations[-1].request.messages]
    assert said[1:] == ["Tell me.", "Once upon a time.", "And then?"]


async def test_it_can_be_stopped_and_continued_any_number_of_times(talk: Talk) -> None:
    question = await stopped(talk, "One")
    for text in (", two", ", three"):
        await talk.ask("continue")
        generation = await talk.generation()
        generation.say(text)
        await talk.until(lambda text=text: talk.visible()[0].endswith(text))  # type: ignore[misc]
        await talk.command("stop")
        await talk.ended(question)
        assert talk.visible()[0].endswith(f"{text}\n\n{STOPPED}")
    turn = await talk.turn(question)
    assert (turn.reply, turn.state) == ("One, two, three", TurnState.STOPPED)


async def test_a_code_block_in_a_quote_that_was_cut_goes_on_as_if_written_at_once(
    talk: Talk,
) -> None:
    begun, rest = "- a\n- b\n\n> ```py\n> x = 1", "\n> y = 2\n> ```\n\nDone."
    question = await cut_off(talk, begun)
    talk.generator.replies.append(rest)
    await talk.ask("continue")
    turn = await talk.ended(question)
    assert turn.reply == begun + rest
    again = await talk.ask("Once more?", thread="t2")
    generation = await talk.generation()
    generation.say(begun + rest)
    generation.finish()
    await talk.ended(again)
    assert talk.visible() == talk.visible("t2")


async def test_it_goes_on_in_the_last_message_and_then_in_further_ones(tmp_path: Path) -> None:
    clock = TalkClock()
    platform = RichFakePlatform(clock, Limits(max_size=80))
    async with talking(tmp_path, clock=clock, platform=platform) as talk:
        question = await cut_off(talk, "A first sentence is here, and it is long enough.")
        first = [post.message_id for post in (await talk.turn(question)).posts]
        talk.generator.replies.append(" A second sentence stands behind it, and a third one does.")
        await talk.ask("continue")
        turn = await talk.ended(question)
        assert [post.message_id for post in turn.posts][:1] == first[:1]
        assert " ".join(talk.visible()) == turn.reply
        assert len(talk.visible()) == 2


@pytest.mark.parametrize("ends", [cut_off, stopped])
async def test_an_answer_that_fills_the_context_stays_and_a_sentence_says_so(
    tmp_path: Path, ends: Callable[[Talk, str], Awaitable[Question]]
) -> None:
    async with talking(tmp_path, generator=ScriptedGenerator(window=60)) as talk:
        answer = " ".join(["word"] * 40)
        question = await ends(talk, answer)
        await talk.ask("continue")
        await talk.until(lambda: FULL in talk.visible()[0])
        turn = await talk.ended(question)
        assert talk.visible() == [f"{answer}\n\n{FULL}"]
        assert (turn.reply, turn.state, turn.can_continue) == (answer, TurnState.DONE, False)
        await talk.ask("continue")
        await talk.sees(f"{answer}\n\n{FULL}", NOTHING_TO_CONTINUE)
        assert len(talk.generator.generations) == 1


async def test_where_nothing_was_cut_off_a_sentence_says_so(talk: Talk) -> None:
    await talk.answered("How are you?", "Fine.")
    await talk.ask("continue")
    await talk.sees("Fine.", NOTHING_TO_CONTINUE)


async def test_nothing_goes_on_while_an_answer_is_under_way(talk: Talk) -> None:
    await talk.ask("How are you?")
    await talk.generation()
    await talk.ask("continue")
    await talk.sees("Thinking…", UNDER_WAY)


async def test_a_button_means_the_answer_that_it_stands_under(talk: Talk) -> None:
    first = await stopped(talk, "One")
    await talk.answered("Two?", "Second.")
    await talk.command("continue", "another turn")
    await talk.until(lambda: talk.whispers()[-1:] == [NOTHING_TO_CONTINUE])
    talk.generator.replies.append(", two.")
    await talk.command("continue", (await talk.turn(first)).id)
    await talk.until(lambda: talk.visible()[:2] == ["One, two.", "Second."])


async def test_only_the_asker_or_an_admin_may_have_it_go_on(talk: Talk) -> None:
    await stopped(talk, "One")
    await talk.ask("continue", person=BOB)
    await talk.until(lambda: bool(talk.whispers(BOB)))
    assert talk.visible() == [f"One\n\n{STOPPED}"]
    talk.generator.replies.append(", two.")
    await talk.ask("continue", person=BOSS)
    await talk.sees("One, two.")


async def test_the_word_means_the_newest_answer_that_the_person_may_have_go_on(talk: Talk) -> None:
    await stopped(talk, "Once upon")
    question = await talk.ask("And me?", person=BOB)
    (await talk.generation()).say("Twice upon")
    await talk.sees(f"Once upon\n\n{STOPPED}", "Twice upon")
    await talk.command("stop", person=BOB)
    await talk.ended(question)
    talk.generator.replies += [" a time.", " two times."]
    await talk.ask("continue")
    await talk.sees("Once upon a time.", f"Twice upon\n\n{STOPPED}")
    await talk.ask("continue", person=BOSS)
    await talk.sees("Once upon a time.", "Twice upon two times.")


async def test_retry_begins_anew(talk: Talk) -> None:
    question = await stopped(talk, "One")
    talk.generator.replies.append("Fresh.")
    await talk.ask("retry")
    assert (await talk.ended(question)).reply == "Fresh."
    assert talk.generator.generations[-1].request.begun is None


async def test_an_edited_question_is_answered_anew_though_its_answer_was_going_on(
    talk: Talk,
) -> None:
    question = await stopped(talk, "One")
    await talk.ask("continue")
    await talk.generation()
    talk.generator.replies.append("Fresh.")
    await talk.edit(question, "Tell me something else.")
    await talk.sees("Fresh.")
    assert talk.generator.generations[-1].request.begun is None


async def test_it_counts_as_a_question_for_the_limits(tmp_path: Path) -> None:
    async with talking(tmp_path, per_minute=1) as talk:
        await cut_off(talk, "One")
        await talk.ask("continue")
        await talk.until(lambda: bool(talk.whispers(ADA)))
        assert talk.visible() == [f"One\n\n{CUT_OFF}"]


async def test_a_failure_takes_nothing_of_the_answer_away(talk: Talk) -> None:
    question = await cut_off(talk, "One")
    talk.generator.failures.append(EngineFailed("The model is gone."))
    await talk.ask("continue")
    await talk.sees("One\n\nThe model is gone. Say `continue` to go on.")
    turn = await talk.ended(question)
    assert (turn.reply, turn.state, turn.can_continue) == ("One", TurnState.DONE, True)
    talk.generator.replies.append(", two.")
    await talk.ask("continue")
    await talk.sees("One, two.")


async def test_one_that_waits_shows_its_place_under_the_answer(talk: Talk) -> None:
    question = await stopped(talk, "One")
    talk.generator.max_unfinished = 1
    await talk.ask("Me first!", thread="t2")
    blocking = await talk.generation()
    await talk.ask("continue")
    await talk.until(lambda: "next in line" in talk.visible()[0])
    assert talk.visible()[0].startswith("One\n\n_(")
    talk.generator.replies.append(", two.")
    blocking.finish()
    assert (await talk.ended(question)).reply == "One, two."
    assert talk.visible() == ["One, two."]


async def test_one_that_is_stopped_while_it_waits_is_as_it_was(talk: Talk) -> None:
    question = await cut_off(talk, "One")
    talk.generator.max_unfinished = 1
    await talk.ask("Me first!", thread="t2", person=BOB)
    await talk.generation()
    await talk.ask("continue")
    await talk.until(lambda: "next in line" in talk.visible()[0])
    await talk.command("stop")
    turn = await talk.ended(question)
    assert (turn.reply, turn.can_continue) == ("One", True)
    assert talk.visible() == [f"One\n\n{STOPPED}"]


async def test_one_that_is_killed_goes_on_after_the_restart(tmp_path: Path) -> None:
    async with running_machine(tmp_path) as machine:
        first = await machine.boot()
        question = await cut_off(first, "Once upon")
        await first.ask("continue")
        (await first.generation()).say(" a ti")
        await first.sees("Once upon a ti")
        await machine.pull_the_plug()
        generator = answering(" a time.")
        second = await machine.boot(generator)
        turn = await second.ended(question)
        assert (turn.reply, turn.state) == ("Once upon a time.", TurnState.DONE)
        assert second.visible() == ["Once upon a time."]
        assert generator.generations[-1].request.begun == "Once upon"


class UnfiledFakePlatform(ButtonsFakePlatform):
    file_above = 0


SENTENCES = "".join(f"The sentence with the number {number} is here. " for number in range(10))


@pytest.mark.parametrize("kind", [RichFakePlatform, UnfiledFakePlatform])
@pytest.mark.parametrize("fails", [False, True], ids=["goes on", "cannot go on"])
async def test_messages_that_stay_as_they_are_are_not_edited(
    tmp_path: Path, kind: type[RichFakePlatform], fails: bool
) -> None:
    clock = TalkClock()
    platform = kind(clock, Limits(max_size=200))
    async with talking(tmp_path, clock=clock, platform=platform) as talk:
        question = await cut_off(talk, SENTENCES)
        *same, last = [post.message_id for post in (await talk.turn(question)).posts]
        assert len(same) > 1
        since = len(platform.calls)
        await talk.ask("continue")
        generation = await talk.generation()
        if fails:
            generation.finish(FinishReason.ERROR, "The model failed.")
        else:
            generation.say("And the last one is here, with a good many words for one message.")
            generation.finish()
        turn = await talk.ended(question)
        edited = {call.message_id for call in platform.calls[since:] if call.method == "edit"}
        assert edited & {*same, last} == {last}
        assert "".join(talk.visible()).replace(" ", "").startswith(turn.reply.replace(" ", ""))


async def test_a_message_whose_buttons_go_elsewhere_is_edited_for_that(tmp_path: Path) -> None:
    clock = TalkClock()
    platform = UnfiledFakePlatform(clock, Limits(max_size=200))
    async with talking(tmp_path, clock=clock, platform=platform) as talk:
        begun = "word " * 25 + "end."
        question = await cut_off(talk, begun)
        talk.generator.replies.append("\n\n" + "more " * 30)
        await talk.ask("continue")
        turn = await talk.ended(question)
        assert len(turn.posts) == 2
        assert platform.ended[-1] == turn.posts[-1].message_id
        assert platform.plain == [turn.posts[0].message_id]

"""What people see of a model that thinks aloud, and what it sees of its thoughts: nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.generation import Finished, FinishReason
from bot.limits import Limits, RateRule
from bot.stored import Turn, TurnState
from bot.turns.display import Draft
from bot.types import Question
from tests.bot.talk import Talk, TalkClock, talking
from tests.fakes.platform import RichFakePlatform

ONE_A_SECOND = RateRule(frozenset({"post"}), "channel", 1, 1.0)


@pytest.fixture
async def talk(tmp_path: Path) -> AsyncIterator[Talk]:
    folder = tmp_path / "personalities"
    folder.mkdir()
    for mode in ("shown", "folded"):
        text = f"---\ntitle: {mode.title()}\nreasoning: {mode}\n---\nYou think.\n"
        (folder / f"{mode}.md").write_text(text)
    clock = TalkClock()
    platform = RichFakePlatform(clock, Limits(max_size=400, rules=(ONE_A_SECOND,)))
    async with talking(tmp_path, clock=clock, platform=platform) as talk:
        yield talk


async def test_while_it_thinks_the_person_sees_thinking_and_then_only_the_answer(
    talk: Talk,
) -> None:
    await talk.ask("How are you?")
    generation = await talk.generation()
    generation.queue(2, wait=3.0)
    await talk.sees("You are 2nd in line, about 3 s…")
    generation.think("They ask how I am. ")
    await talk.sees("Thinking…")
    generation.think("I am fine, I think.")
    await talk.quiet()
    assert talk.visible() == ["Thinking…"]
    generation.say("Fine, thanks.")
    generation.finish()
    await talk.sees("Fine, thanks.")


async def test_a_personality_may_show_the_reasoning_above_the_answer(talk: Talk) -> None:
    await talk.command("personality", "shown")
    question = await talk.ask("How are you?")
    generation = await talk.generation()
    generation.think("They ask.\n\nI am fine.")
    await talk.until(lambda: talk.visible()[-1] == "> They ask.\n>\n> I am fine.")
    generation.say("Fine.")
    generation.finish()
    turn = await talk.ended(question)
    assert talk.visible()[-1] == "> They ask.\n>\n> I am fine.\n\nFine."
    assert turn.reply == "Fine."


async def test_folded_reasoning_shows_its_last_words_and_then_one_line(talk: Talk) -> None:
    await talk.command("personality", "folded")
    question = await talk.ask("How are you?")
    generation = await talk.generation()
    generation.think("First of all.\n\nThey ask how I am.")
    await talk.until(lambda: talk.visible()[-1] == "> They ask how I am.")
    generation.say("Fine.")
    generation.finish()
    await talk.ended(question)
    assert talk.visible()[-1] == "> _Thought about it in 8 words._\n\nFine."


ABOVE = {
    "shown": "> They ask.\n>\n> I am fine.\n\n",
    "folded": "> _Thought about it in 5 words._\n\n",
    "assistant": "",
}


async def cut_off(talk: Talk, personality: str) -> Question:
    await talk.command("personality", personality)
    question = await talk.ask("How are you?")
    generation = await talk.generation()
    generation.think("They ask.\n\nI am fine.")
    generation.say("I am")
    generation.finish(FinishReason.LENGTH)
    await talk.ended(question)
    return question


@pytest.mark.parametrize("personality", ABOVE)
async def test_the_reasoning_stays_above_an_answer_that_goes_on(
    talk: Talk, personality: str
) -> None:
    question = await cut_off(talk, personality)
    before = len(talk.platform.calls)
    await talk.ask("continue")
    generation = await talk.generation()
    await talk.until(lambda: talk.visible()[-1] == f"{ABOVE[personality]}I am")
    generation.say(" fine.")
    generation.finish()
    turn = await talk.ended(question)
    assert turn.reply == "I am fine."
    assert talk.visible()[-1] == f"{ABOVE[personality]}I am fine."
    since = [call.text for call in talk.platform.calls[before:] if call.method == "edit"]
    assert all(text and text.startswith(f"{ABOVE[personality]}I am") for text in since)


@pytest.mark.parametrize("personality", ABOVE)
async def test_the_reasoning_stays_above_an_answer_that_was_to_go_on_and_could_not(
    talk: Talk, personality: str
) -> None:
    question = await cut_off(talk, personality)
    await talk.ask("continue")
    (await talk.generation()).finish(FinishReason.ERROR, "The model failed.")
    turn = await talk.ended(question)
    assert (turn.reply, turn.can_continue) == ("I am", True)
    assert talk.visible()[-1].startswith(f"{ABOVE[personality]}I am\n\n")


async def stopped_in_its_delivery(talk: Talk, personality: str, thought: str) -> Turn:
    """Two of its messages have come by then."""
    await talk.command("personality", personality)
    question = await talk.ask("How are you?")
    generation = await talk.generation()
    generation.think(thought)
    generation.say("word " * 400)
    generation.finish()
    await talk.until(lambda: len(talk.visible()) == 3)
    await talk.command("stop")
    turn = await talk.ended(question)
    assert len(talk.visible()) == 3
    return turn


@pytest.mark.parametrize("personality", ABOVE)
async def test_the_reasoning_stays_above_an_answer_that_is_stopped_in_its_delivery(
    talk: Talk, personality: str
) -> None:
    turn = await stopped_in_its_delivery(talk, personality, "They ask.\n\nI am fine.")
    shown = f"{ABOVE[personality]}{turn.reply}\n\n_(stopped)_"
    assert " ".join(talk.visible()[1:]).split() == shown.split()
    assert (turn.state, turn.can_continue) == (TurnState.STOPPED, True)
    await talk.ask("continue")
    (await talk.generation()).finish()
    await talk.until(lambda: "stopped" not in talk.visible()[2])
    assert " ".join(talk.visible()[1:]).split() == f"{ABOVE[personality]}{turn.reply}".split()


async def test_reasoning_that_is_stopped_in_its_delivery_ends_where_it_is(talk: Talk) -> None:
    turn = await stopped_in_its_delivery(talk, "shown", "thought " * 300)
    first, last = talk.visible()[1:]
    assert first.startswith("> thought thought")
    assert last.endswith("thought\n\nStopped.")
    assert (turn.reply, turn.state) == ("", TurnState.STOPPED)


async def test_after_a_retry_nothing_is_above_but_what_was_thought_then(talk: Talk) -> None:
    question = await cut_off(talk, "shown")
    talk.generator.replies.append("Fine.")
    await talk.ask("retry")
    await talk.ended(question)
    assert talk.visible()[-1] == "Fine."


@pytest.mark.parametrize("personality", ["assistant", "shown", "folded"])
async def test_no_thought_is_in_the_next_prompt(talk: Talk, personality: str) -> None:
    await talk.command("personality", personality)
    question = await talk.ask("How are you?")
    generation = await talk.generation()
    generation.think("Hm.")
    generation.say("Fine.")
    generation.finish()
    await talk.ended(question)
    await talk.answered("And now?", "Still fine.")
    said = [message.content for message in talk.generator.generations[-1].request.messages]
    assert said[1:] == ["How are you?", "Fine.", "And now?"]


@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        (FinishReason.LENGTH, "I was still thinking when I reached the length limit"),
        (FinishReason.LOOPED, "My thinking went round in circles"),
        (FinishReason.STOP, "I thought about this and came to no answer."),
    ],
)
async def test_thinking_without_an_answer_is_told_in_a_sentence_that_offers_retry(
    talk: Talk, reason: FinishReason, sentence: str
) -> None:
    question = await talk.ask("What is everything?")
    generation = await talk.generation()
    generation.think("Well, well, well")
    generation.finish(reason)
    turn = await talk.ended(question)
    assert (turn.state, turn.reply) == (TurnState.FAILED, "")
    assert talk.visible()[0].startswith(sentence)
    assert "Say `retry`" in talk.visible()[0]
    assert "Well" not in talk.visible()[0]


async def test_stopping_while_it_thinks_ends_it(talk: Talk) -> None:
    question = await talk.ask("What is everything?")
    generation = await talk.generation()
    generation.think("Well, well")
    await talk.react(question.message_id, "octagonal_sign")
    assert (await talk.ended(question)).state is TurnState.STOPPED
    assert generation.is_cancelled
    assert talk.visible() == ["Stopped."]


def test_shown_thoughts_close_the_code_that_they_leave_open() -> None:
    draft = Draft("shown")
    draft.think("Try\n```\nx = 1\n")
    draft.say("Yes.")
    assert draft.shown == "> Try\n> ```\n> x = 1\n> ```\n\nYes."


def test_folded_thoughts_show_at_most_a_few_words() -> None:
    draft = Draft("folded")
    draft.think("word " * 1_000)
    assert len(draft.shown) < 220
    assert draft.shown.startswith("> … word word")


def test_a_failure_keeps_what_was_thought_in_sight() -> None:
    draft = Draft("shown")
    draft.think("Hm.")
    assert draft.fail("The model failed.").shown.startswith("> Hm.\n\nThe model failed.")
    ending = draft.end(Finished(FinishReason.CANCELLED), stopped=True)
    assert (ending.shown, ending.reply) == ("> Hm.\n\nStopped.", "")

"""People in Teams and all of Parley but its model: what they do, and what they see."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.teams.adapter import UNSEEN
from bot.generation import FinishReason
from bot.stored import TurnState
from tests.adapters.teams.talk import PATIENCE, POLL_SECONDS, Talk, talking, until
from tests.fakes import teams as wire
from tests.fakes.clock import FakeClock
from tests.fakes.teams import FakeTeams
from tests.fakes.teams_activities import (
    BOB,
    CHANNEL,
    PERSONAL,
    deletion,
    edit,
    message,
    press,
    reaction,
)


@pytest.fixture
async def talk(teams: FakeTeams, tmp_path: Path) -> AsyncIterator[Talk]:
    async with talking(teams, tmp_path) as talk:
        yield talk


async def test_a_question_in_a_channel_is_answered_in_its_thread(talk: Talk) -> None:
    generation = await talk.asked(message("What is a turn?", "channel"))
    generation.say("A turn is a question")
    await talk.sees(CHANNEL, "A turn is a question")
    generation.say(" and its reply.")
    generation.finish()
    await talk.sees(CHANNEL, "A turn is a question and its reply.")


async def test_a_question_delivered_again_and_again_is_answered_once(talk: Talk) -> None:
    """As Teams does when it had no answer within its fifteen seconds."""
    asked = message("Once?", "channel")
    talk.generator.replies.append("Once.")
    await asyncio.gather(*(talk.say(asked) for _ in range(4)))
    await talk.sees(CHANNEL, "Once.")
    assert await talk.state(asked) is TurnState.DONE
    await talk.say(asked)
    assert len(talk.generator.generations) == 1
    assert talk.teams.texts(CHANNEL) == ["Once."]


async def test_teams_own_stop_ends_the_turn_and_frees_the_model(talk: Talk) -> None:
    asked = message("Tell me everything.")
    generation = await talk.asked(asked)
    generation.say("It began")
    await until(lambda: talk.teams.texts(PERSONAL) == ["It began"])
    talk.teams.cancel()
    generation.say(" long ago")
    await until(lambda: generation.is_cancelled)
    assert generation.is_cancelled
    await until(lambda: "stopped" in talk.teams.texts(PERSONAL)[0])
    assert talk.teams.texts(PERSONAL) == ["It began long ago\n\n_(stopped)_"]


@pytest.mark.parametrize("way", ["reaction", "button", "word", "deletion"])
async def test_every_way_to_stop_ends_the_reply(talk: Talk, way: str) -> None:
    asked = message("Tell me everything.", "channel")
    generation = await talk.asked(asked)
    generation.say("It began")
    await until(lambda: talk.teams.texts(CHANNEL) == ["It began"])
    reply = talk.reply_to(CHANNEL)
    await talk.say(
        {
            "reaction": reaction(reply, "1f6d1_stopsign", scope="channel"),
            "button": press(reply, {"parley": {"stop": True}}, "channel"),
            "word": message("stop", "channel"),
            "deletion": deletion(asked),
        }[way]
    )
    assert await talk.state(asked) is TurnState.STOPPED
    assert talk.teams.text(reply) == "It began\n\n_(stopped)_"


async def test_a_reply_that_was_cut_off_has_a_button_to_go_on_until_it_has_ended(
    talk: Talk,
) -> None:
    asked = message("Count.", "channel")
    generation = await talk.asked(asked)
    generation.say("One, ")
    generation.finish(FinishReason.LENGTH)
    await until(lambda: "cut off" in "".join(talk.teams.texts(CHANNEL)))
    reply = talk.reply_to(CHANNEL)
    (card,) = talk.teams.messages[reply].body["attachments"]
    (button,) = card["content"]["actions"]
    assert button["title"] == "Continue"
    talk.generator.replies.append("two.")
    await talk.state(asked)
    await talk.say(press(reply, button["data"], "channel"))
    await talk.sees(CHANNEL, "One, two.")
    assert "attachments" not in talk.teams.messages[reply].body
    assert talk.generator.generations[-1].request.begun == "One, "


async def test_the_button_of_an_older_answer_makes_that_one_go_on(talk: Talk) -> None:
    presses = []
    for text in ("One, ", "Alpha, "):
        asked = message(f"Count: {text}", "channel")
        generation = await talk.asked(asked)
        generation.say(text)
        generation.finish(FinishReason.LENGTH)
        await talk.state(asked)
        reply = list(talk.teams.messages)[-1]
        (card,) = talk.teams.messages[reply].body["attachments"]
        presses.append(press(reply, card["content"]["actions"][0]["data"], "channel"))
    talk.generator.replies.append("two.")
    await talk.say(presses[0])
    await until(lambda: "One, two." in talk.teams.texts(CHANNEL))
    assert talk.teams.texts(CHANNEL)[-1].startswith("Alpha")


async def test_continue_goes_on_in_a_further_message_where_the_first_is_full(talk: Talk) -> None:
    words = [f"word{number}" for number in range(3_000)]
    asked = message("Count.", "channel")
    generation = await talk.asked(asked)
    generation.say(" ".join(words[:2_000]))
    generation.finish(FinishReason.LENGTH)
    await until(lambda: "cut off" in "".join(talk.teams.texts(CHANNEL)))
    first = talk.reply_to(CHANNEL)
    button = talk.teams.messages[first].body["attachments"][0]["content"]["actions"][0]
    talk.generator.replies.append(" " + " ".join(words[2_000:]))
    await talk.state(asked)
    await talk.say(press(first, button["data"], "channel"))
    await until(lambda: "word2999" in "".join(talk.teams.texts(CHANNEL)))
    assert " ".join(talk.teams.texts(CHANNEL)).split() == words
    assert len(talk.teams.texts(CHANNEL)) == 2
    assert "attachments" not in talk.teams.messages[first].body


TONES = [f"270b_raisedhand-tone{number}" for number in range(1, 6)]
NOT_STOP = (
    "23f1_stopwatch",
    "1f68f_busstop",
    "1f6ab_noentrysign",
    "like",
    "sad",
    "1f44b_wavinghand",
)


@pytest.mark.parametrize(
    "name",
    ["angry", "1f6d1_stopsign", "270b_raisedhand", *TONES, "26d4_noentry", "274c_crossmark"],
)
async def test_a_sign_that_stops_ends_the_reply(talk: Talk, name: str) -> None:
    asked = message("Tell me everything.", "channel")
    generation = await talk.asked(asked)
    generation.say("It began")
    await until(lambda: talk.teams.texts(CHANNEL) == ["It began"])
    await talk.say(reaction(talk.reply_to(CHANNEL), name, scope="channel"))
    assert await talk.state(asked) is TurnState.STOPPED


async def test_any_other_sign_lets_the_reply_go_on(talk: Talk) -> None:
    """A stopwatch and a bus stop, too, though "stop" is in their names."""
    asked = message("Tell me everything.", "channel")
    generation = await talk.asked(asked)
    generation.say("It began")
    await until(lambda: talk.teams.texts(CHANNEL) == ["It began"])
    await talk.say(reaction(talk.reply_to(CHANNEL), *NOT_STOP, scope="channel"))
    assert not generation.is_cancelled
    generation.finish()
    assert await talk.state(asked) is TurnState.DONE


async def test_in_a_thread_joined_late_the_model_knows_that_it_has_not_read_it(talk: Talk) -> None:
    """Teams gives a bot no earlier message, so nobody gets a summary of a thread unread."""
    first = await talk.asked(asked := message("Summarise this thread.", "channel"))
    assert first.question == f"{UNSEEN}\nSummarise this thread."
    first.say("I cannot see it.")
    first.finish()
    assert await talk.state(asked) is TurnState.DONE
    second = await talk.asked(message("And now?", "channel"))
    assert second.question == "And now?"
    second.finish()


async def test_who_begins_a_thread_or_is_alone_with_parley_is_told_nothing_of_the_sort(
    talk: Talk,
) -> None:
    begins = await talk.asked(
        message("Hello?", "channel", id="1700000555555", root="1700000555555")
    )
    assert begins.question == "Hello?"
    alone = await talk.asked(message("Hello?"))
    assert alone.question == "Hello?"


async def test_nobody_but_the_asker_stops_a_reply(talk: Talk) -> None:
    asked = message("Tell me everything.", "channel")
    generation = await talk.asked(asked)
    generation.say("It began")
    await until(lambda: talk.teams.texts(CHANNEL) == ["It began"])
    reply = talk.reply_to(CHANNEL)
    await talk.say(reaction(reply, "angry", scope="channel", user=BOB))
    await talk.say(press(reply, {"parley": {"stop": True}}, "channel", user=BOB))
    assert not generation.is_cancelled
    generation.finish()
    assert await talk.state(asked) is TurnState.DONE


async def test_an_answer_with_marks_links_and_formulas_streams_to_its_end(talk: Talk) -> None:
    """It is never made an edited message: people see it grow as Teams does it."""
    link, table = "One **two** [the guide](https://x.org/_a_) now.", "```\na | b\n--+--\n1 | 2\n```"
    steps = {
        "One **two** [the guide](https://x.o": "One",
        "rg/_a_) now.\n\n* on": f"{link}\n\n- on",
        "e\n\n| a | b |\n|---|---|\n| 1 |": f"{link}\n\n- one",
        " 2 |\n\nSo \\(x^2": f"{link}\n\n- one\n\n{table}\n\nSo",
    }
    generation = await talk.asked(asked := message("What is on https://x.org/_a_ ?"))
    for said, seen in steps.items():
        generation.say(said)
        await talk.sees(PERSONAL, seen)
    generation.say("\\) it is.")
    generation.finish()
    assert await talk.state(asked) is TurnState.DONE
    assert talk.teams.texts(PERSONAL) == [f"{link}\n\n- one\n\n{table}\n\nSo x² it is."]
    assert talk.teams.num_made("edit") == 0


async def test_an_edited_question_is_answered_again_in_its_place(talk: Talk) -> None:
    talk.generator.replies.extend(["Trun?", "A turn."])
    asked = message("What is a trun?", "channel")
    await talk.say(asked)
    await talk.sees(CHANNEL, "Trun?")
    assert await talk.state(asked) is TurnState.DONE
    await talk.say(edit(asked, "<at>Parley</at> What is a turn?"))
    await talk.sees(CHANNEL, "A turn.")


async def test_a_bot_that_was_removed_ends_the_turn_quietly(talk: Talk) -> None:
    talk.teams.removed_from = {CHANNEL}
    talk.generator.replies.append("Nobody reads this.")
    asked = message("Are you there?", "channel")
    await talk.say(asked)
    assert (await talk.state(asked)).is_finished
    assert talk.teams.texts(CHANNEL) == []


@pytest.mark.parametrize(
    "fault",
    [
        wire.rate_limited(2),
        *(wire.Fault(status) for status in (412, 502, 503, 504)),
        *(wire.FAILS_AFTER, wire.DROPS),
    ],
)
async def test_a_reply_is_complete_whatever_its_edits_meet(talk: Talk, fault: wire.Fault) -> None:
    asked = message("And then?", "channel")
    generation = await talk.asked(asked)
    generation.say("One")
    await until(lambda: talk.teams.texts(CHANNEL) == ["One"])
    talk.teams.fail("edit", fault, fault)
    generation.say(" two")
    generation.finish()
    await talk.sees(CHANNEL, "One two")
    assert await talk.state(asked) is TurnState.DONE


@pytest.mark.parametrize("fault", [wire.FAILS_AFTER, wire.DROPS_AFTER])
async def test_a_first_post_that_may_have_happened_is_never_made_again(
    talk: Talk, fault: wire.Fault
) -> None:
    """One orphan may remain; the answer comes in a message of its own."""
    talk.teams.fail("post", fault)
    generation = await talk.asked(message("Hello?", "channel"))
    generation.say("Hello")
    generation.finish()
    await until(lambda: "Hello" in talk.teams.texts(CHANNEL))
    assert talk.teams.texts(CHANNEL).count("Hello") == 1


async def test_a_text_too_large_for_teams_comes_in_parts(talk: Talk) -> None:
    talk.generator.replies.append("word " * 30 + "end.")
    talk.teams.fail("post", wire.Fault(413, "MessageSizeTooBig"))
    await talk.say(message("Say much.", "channel"))
    await until(lambda: " ".join(talk.teams.texts(CHANNEL)).endswith("end."))
    assert " ".join(talk.teams.texts(CHANNEL)).split().count("word") == 30


async def test_a_reply_of_more_than_two_minutes_goes_on_in_its_message_by_edits(
    talk: Talk,
) -> None:
    generation = await talk.asked(asked := message("Tell me everything."))
    generation.say("It began")
    await until(lambda: talk.teams.texts(PERSONAL) == ["It began"])
    assert isinstance(talk.teams.clock, FakeClock)
    async with asyncio.timeout(PATIENCE):  # the answer to the first call may still be on its way
        while not all(stream.refusal for stream in talk.teams.streams.values()):
            await talk.teams.clock.advance(10)
            await asyncio.sleep(POLL_SECONDS)
    await talk.teams.clock.advance(30)
    generation.say(" long ago.")
    await talk.sees(PERSONAL, "It began long ago.")
    generation.finish()
    assert await talk.state(asked) is TurnState.DONE
    assert talk.teams.num_made("edit") >= 1
    assert len(talk.teams.messages) == 1


async def test_a_streamed_text_too_large_for_teams_comes_in_parts(talk: Talk) -> None:
    text = " ".join(f"word{number}" for number in range(60))
    generation = await talk.asked(asked := message("Say much."))
    generation.say(text)
    await until(lambda: talk.teams.texts(PERSONAL) == [text])
    talk.teams.fail("post", wire.Fault(413, "MessageSizeTooBig"))
    generation.say(" end.")
    generation.finish()
    assert await talk.state(asked) is TurnState.DONE
    texts = talk.teams.texts(PERSONAL)
    assert len(texts) > 1
    assert " ".join(texts).split() == [*text.split(), "end."]


async def test_teams_own_stop_before_a_word_was_said_ends_the_turn_all_the_same(talk: Talk) -> None:
    generation = await talk.asked(asked := message("Tell me everything."))
    await until(lambda: bool(talk.teams.lines))
    talk.teams.cancel()
    generation.say("It began")
    assert await talk.state(asked) is TurnState.STOPPED
    assert generation.is_cancelled
    assert len(talk.teams.texts(PERSONAL)) == 1
    assert "_(stopped)_" in talk.teams.texts(PERSONAL)[0]


async def test_a_bot_that_is_removed_while_it_answers_says_nothing_more(talk: Talk) -> None:
    generation = await talk.asked(asked := message("Are you there?", "channel"))
    generation.say("Here I am")
    await until(lambda: talk.teams.texts(CHANNEL) == ["Here I am"])
    talk.teams.removed_from = {CHANNEL}
    before = talk.teams.num_calls
    generation.say(" and now I am gone")
    generation.finish()
    assert (await talk.state(asked)).is_finished
    assert talk.teams.texts(CHANNEL) == ["Here I am"]
    assert talk.teams.num_calls - before <= 2, "it is not tried again and again"


async def test_a_question_that_waits_in_a_personal_chat_begins_no_second_stream(
    talk: Talk,
) -> None:
    first = await talk.asked(message("One?"))
    first.say("The first")
    await talk.sees(PERSONAL, "The first")
    await talk.say(message("Two?"))
    await talk.sees(PERSONAL, "The first", "Next in this thread…")
    first.say(" answer.")
    first.finish()
    second = await asyncio.wait_for(talk.generator.started(), 5)
    second.say("The second answer.")
    second.finish()
    await talk.sees(PERSONAL, "The first answer.", "The second answer.")
    third = message("Three?")
    generation = await talk.asked(third)
    generation.say("The third")
    await until(lambda: len(talk.teams.streams) == 2)
    generation.finish()
    assert await talk.state(third) is TurnState.DONE

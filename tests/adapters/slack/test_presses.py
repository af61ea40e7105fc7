"""What becomes of a press in Slack: of whose, of which state, after a restart."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.generation import FinishReason
from tests.adapters.slack.talk import SlackTalk, talking
from tests.fakes.slack import FakeSlack, Fault
from tests.fakes.slack_api import ADA, BOB, BOT, CHANNEL
from tests.fakes.slack_blocks import pressed
from tests.fakes.slack_presses import interaction

ENDED = ["Retry", "Personality…", "👍", "👎"]
NOT_YOURS = "Only the person who asked, or an admin, can do that."


@pytest.fixture
async def talk(tmp_path: Path, slack: FakeSlack) -> AsyncIterator[SlackTalk]:
    async with talking(tmp_path, slack) as talk:
        yield talk


async def test_stop_ends_the_reply_and_leaves_what_was_said(
    talk: SlackTalk, slack: FakeSlack
) -> None:
    question, generation = await talk.asked("Why?")
    generation.say("Because")
    reply = await talk.says("Because", question)
    assert slack.buttons(reply) == ["Stop"]
    await talk.noted(reply)
    assert await slack.press(reply, "Stop") == 200
    await talk.until(lambda: "(stopped)" in str(slack.text(reply)))
    assert generation.is_cancelled
    await talk.ended(reply)
    assert "Stop" not in slack.buttons(reply)


async def test_a_reply_that_waits_can_be_stopped(talk: SlackTalk, slack: FakeSlack) -> None:
    question, _ = await talk.asked("Why?")
    reply = await talk.says("Thinking…", question)
    assert slack.buttons(reply) == ["Stop"]
    await talk.noted(reply)
    await slack.press(reply, "Stop")
    assert await talk.says("Stopped.", question) == reply


async def test_a_strangers_stop_is_refused_to_them_alone(talk: SlackTalk, slack: FakeSlack) -> None:
    question, generation = await talk.asked("Why?")
    generation.say("Because")
    reply = await talk.says("Because", question)
    await talk.noted(reply)
    await slack.press(reply, "Stop", user=BOB)
    await talk.until(lambda: talk.whispers(BOB))
    assert talk.whispers(BOB) == [NOT_YOURS]
    assert not generation.is_cancelled
    generation.finish()
    await talk.ended(reply)


async def test_a_stop_that_comes_too_late_does_nothing(talk: SlackTalk, slack: FakeSlack) -> None:
    question, generation = await talk.asked("Why?")
    generation.say("Because")
    reply = await talk.says("Because", question)
    message = dict(slack.messages["C01", reply])
    generation.finish()
    await talk.ended(reply)
    now = slack.messages["C01", reply]
    slack.messages["C01", reply] = {**now, "blocks": message["blocks"]}
    assert await slack.press(reply, "Stop") == 200
    slack.messages["C01", reply] = now
    assert slack.text(reply) == "Because"


async def test_retry_answers_again_into_the_same_message(talk: SlackTalk, slack: FakeSlack) -> None:
    question, reply = await talk.answered("Why?", "Because.")
    talk.generator.replies.append("For a reason.")
    await slack.press(reply, "Retry")
    assert await talk.says("For a reason.", question) == reply
    await talk.ended(reply)


async def test_a_strangers_retry_is_refused_to_them_alone(
    talk: SlackTalk, slack: FakeSlack
) -> None:
    _, reply = await talk.answered("Why?", "Because.")
    await slack.press(reply, "Retry", user=BOB)
    await talk.until(lambda: talk.whispers(BOB))
    assert talk.whispers(BOB) == [NOT_YOURS]
    assert slack.text(reply) == "Because."


async def test_retry_pressed_twice_answers_once_and_says_so_to_who_pressed(
    talk: SlackTalk, slack: FakeSlack
) -> None:
    question, reply = await talk.answered("Why?", "Because.")
    ended = slack.messages["C01", reply]["blocks"]
    await slack.press(reply, "Retry")
    generation = await talk.generator.started()
    growing = slack.messages["C01", reply]
    slack.messages["C01", reply] = {**growing, "blocks": ended}
    assert await slack.press(reply, "Retry") == 200
    slack.messages["C01", reply] = growing
    await talk.until(lambda: talk.whispers(ADA))
    assert talk.whispers(ADA) == ["The last question is still being answered."]
    generation.say("For a reason.")
    generation.finish()
    assert await talk.says("For a reason.", question) == reply
    await talk.ended(reply)
    assert len(slack.thread(question)) == 2


async def test_an_older_answer_is_not_given_again_in_place_of_the_newest(
    talk: SlackTalk, slack: FakeSlack
) -> None:
    question, older = await talk.answered("Why?", "Because.")
    talk.generator.replies.append("For a reason.")
    await slack.say(f"<@{BOT}> And why that?", thread_ts=question)
    newest = await talk.says("For a reason.", question)
    await talk.ended(newest)
    await slack.press(older, "Retry")
    await talk.until(lambda: talk.whispers(ADA))
    assert talk.whispers(ADA) == ["Only the newest answer of a thread can be given again."]
    assert (slack.text(older), slack.text(newest)) == ("Because.", "For a reason.")


async def test_continue_goes_on_where_the_answer_was_stopped(
    talk: SlackTalk, slack: FakeSlack
) -> None:
    question, generation = await talk.asked("Why?")
    generation.say("Because")
    reply = await talk.says("Because", question)
    await talk.noted(reply)
    await slack.press(reply, "Stop")
    await talk.until(lambda: "Continue" in slack.buttons(reply))
    await slack.press(reply, "Continue", user=BOB)
    await talk.until(lambda: talk.whispers(BOB))
    assert talk.whispers(BOB) == [NOT_YOURS]
    await slack.press(reply, "Continue")
    going_on = await talk.generator.started()
    going_on.say(" it is so.")
    going_on.finish()
    assert await talk.says("Because it is so.", question) == reply
    await talk.ended(reply)
    assert "Continue" not in slack.buttons(reply)


async def cut_off(
    talk: SlackTalk, slack: FakeSlack, said: str, thread: str = ""
) -> tuple[str, str]:
    """A question whose answer ended at the length limit, and the message that offers more."""
    question, generation = await talk.asked("Why?", **({"thread_ts": thread} if thread else {}))
    root = thread or question
    generation.say(said)
    generation.finish(FinishReason.LENGTH)
    await talk.until(lambda: f"{said}\n\n_(cut off" in str(slack.thread(root)[-1]["text"]))
    reply = str(slack.thread(root)[-1]["ts"])
    await talk.until(lambda: slack.buttons(reply) == ["Continue", *ENDED])
    return question, reply


async def test_continue_pressed_twice_goes_on_once_and_says_so_to_who_pressed(
    talk: SlackTalk, slack: FakeSlack
) -> None:
    question, reply = await cut_off(talk, slack, "Because")
    offered = dict(slack.messages[CHANNEL, reply])
    await slack.press(reply, "Continue")
    going_on = await talk.generator.started()
    again = pressed(offered["blocks"], "Continue", "1700000000.000099")
    assert await slack.interact(interaction(offered, again, reply, ADA, CHANNEL)) == 200
    await talk.until(lambda: talk.whispers(ADA))
    assert talk.whispers(ADA) == ["The last question is still being answered."]
    going_on.say(" it is so.")
    going_on.finish()
    assert await talk.says("Because it is so.", question) == reply
    assert len(talk.generator.generations) == 2


async def test_continue_means_the_answer_that_it_stands_under(
    talk: SlackTalk, slack: FakeSlack
) -> None:
    question, older = await cut_off(talk, slack, "Because")
    _, newest = await cut_off(talk, slack, "For a", thread=question)
    talk.generator.replies.append(" it is so.")
    await slack.press(older, "Continue")
    assert await talk.says("Because it is so.", question) == older
    assert str(slack.text(newest)).startswith("For a\n\n_(cut off")


async def test_continue_goes_on_in_a_further_message_which_has_the_buttons_then(
    talk: SlackTalk, slack: FakeSlack
) -> None:
    words = [f"word{number}" for number in range(500)]
    question, first = await cut_off(talk, slack, " ".join(words[:300]))
    assert len(slack.thread(question)) == 2
    talk.generator.replies.append(" " + " ".join(words[300:]))
    await slack.press(first, "Continue")
    await talk.until(lambda: "word499" in str(slack.thread(question)[-1]["text"]))
    kept, further = (str(each["ts"]) for each in slack.thread(question)[1:])
    await talk.ended(further)
    assert kept == first
    assert (slack.buttons(first), slack.buttons(further)) == ([], ENDED)
    assert f"{slack.text(first)} {slack.text(further)}".split() == words


async def test_continue_works_after_a_restart(tmp_path: Path, slack: FakeSlack) -> None:
    async with talking(tmp_path, slack) as talk:
        question, reply = await cut_off(talk, slack, "Because")
    async with talking(tmp_path, slack) as talk:
        talk.generator.replies.append(" it is so.")
        await slack.press(reply, "Continue")
        assert await talk.says("Because it is so.", question) == reply
        assert talk.generator.generations[-1].request.begun == "Because"


async def test_retry_works_after_a_restart(tmp_path: Path, slack: FakeSlack) -> None:
    async with talking(tmp_path, slack) as talk:
        question, reply = await talk.answered("Why?", "Because.")
    async with talking(tmp_path, slack) as talk:
        talk.generator.replies.append("For a reason.")
        await slack.press(reply, "Retry")
        assert await talk.says("For a reason.", question) == reply
        await talk.ended(reply)


async def test_the_menu_is_shown_to_who_presses_and_anybody_there_may_choose(
    talk: SlackTalk, slack: FakeSlack
) -> None:
    question, reply = await talk.answered("Why?", "Because.")
    await slack.press(reply, "Personality…", user=BOB)
    await talk.until(lambda: slack.whispers)
    (menu,) = slack.whispers
    assert (menu["user"], menu["thread_ts"]) == (BOB, question)
    await slack.press(menu["ts"], "Pirate", user=BOB)
    await talk.says("*Pirate* answers in this thread from now on.", question)
    await slack.say(f"<@{BOT}> Who are you?", thread_ts=question)
    generation = await talk.generator.started()
    assert generation.request.messages[0].content == "You are a pirate."
    generation.finish()


async def test_a_menu_that_cannot_be_shown_is_no_error(talk: SlackTalk, slack: FakeSlack) -> None:
    _, reply = await talk.answered("Why?", "Because.")
    slack.fail("chat.postEphemeral", Fault(error="user_not_in_channel"))
    assert await slack.press(reply, "Personality…") == 200


async def test_personalities_are_listed_with_a_button_for_each(
    talk: SlackTalk, slack: FakeSlack
) -> None:
    question, _ = await talk.answered("Why?", "Because.")
    await slack.say(f"<@{BOT}> personality", thread_ts=question)
    await talk.until(lambda: "pirate" in str(slack.thread(question)[-1]["text"]))
    listed = slack.thread(question)[-1]["ts"]
    assert slack.buttons(listed) == ["Assistant", "Pirate"]
    await slack.press(listed, "Pirate", user=BOB)
    await talk.says("*Pirate* answers in this thread from now on.", question)


async def test_a_thumb_is_a_vote_that_only_its_presser_hears_of(
    talk: SlackTalk, slack: FakeSlack
) -> None:
    _, reply = await talk.answered("Why?", "Because.")
    await slack.press(reply, "👎", user=BOB)
    await talk.voted(-1)
    await slack.press(reply, "👎", user=BOB)
    await talk.voted(0)
    await talk.until(lambda: len(talk.whispers(BOB)) == 2)
    assert talk.whispers(BOB) == ["Noted: 👎", "Your vote is taken back."]
    assert talk.whispers(ADA) == []


async def test_whoever_changes_their_mind_hears_no_more_of_it(
    talk: SlackTalk, slack: FakeSlack
) -> None:
    question, reply = await talk.answered("Why?", "Because.")
    await slack.press(reply, "👍", user=BOB)
    await talk.voted(1)
    await slack.press(reply, "👎", user=BOB)
    await talk.voted(-1)
    await slack.press(reply, "👎", user=BOB)
    await talk.until(lambda: len(talk.whispers(BOB)) == 2)
    assert talk.whispers(BOB) == ["Noted: 👍", "Your vote is taken back."]
    assert len(slack.thread(question)) == 2


async def test_a_vote_is_one_persons_also_after_a_restart(slack: FakeSlack, tmp_path: Path) -> None:
    async with talking(tmp_path, slack) as talk:
        _, reply = await talk.answered("Why?", "Because.")
        await slack.press(reply, "👎", user=BOB)
        await slack.react(reply, "+1")
        await talk.voted(1)
    async with talking(tmp_path, slack) as talk:
        await slack.unreact(reply, "+1")
        await talk.voted(-1)
        await slack.press(reply, "👎", user=BOB)
        await talk.voted(0)


@pytest.mark.parametrize(("name", "rating"), [("+1", 1), ("-1::skin-tone-4", -1)])
async def test_a_reaction_is_a_vote_until_it_is_taken_away(
    talk: SlackTalk, slack: FakeSlack, name: str, rating: int
) -> None:
    _, reply = await talk.answered("Why?", "Because.")
    await slack.react(reply, name)
    await talk.voted(rating)
    await slack.unreact(reply, "tada")
    await slack.unreact(reply, name)
    await talk.voted(0)


async def test_a_long_answer_is_whole_and_has_buttons_under_its_last_message(
    talk: SlackTalk, slack: FakeSlack
) -> None:
    words = [f"word{number}" for number in range(900)]
    talk.generator.replies.append(" ".join(words))
    question = await slack.say(f"<@{BOT}> Why?")
    await talk.until(lambda: "word899" in str(slack.thread(question)[-1]["text"]))
    parts = [each["ts"] for each in slack.thread(question)[1:]]
    await talk.ended(parts[-1])
    assert " ".join(str(slack.text(ts)) for ts in parts).split() == words
    assert len(parts) > 1
    assert all(slack.buttons(ts) == [] for ts in parts[:-1])

"""People speak to Parley with slash commands, and out of a message's menu."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.slack.interactions.shortcuts import ASK_ABOUT
from bot.errors import StorageError
from bot.stored import TurnState
from bot.turns.commands import HEARD, NOTHING_TO_STOP
from bot.turns.unposted import NOT_INVITED, NOT_POSTED, NOTHING_ASKED
from bot.types import Place
from tests.fakes import slack_commands
from tests.fakes.slack import DROPS, DROPS_AFTER, FAILS, FAILS_AFTER, Fault, rate_limited
from tests.fakes.slack_api import ADA, BOB, BOSS, BOT, CHANNEL, DIRECT, NOT_A_MEMBER, TEAM
from tests.fakes.slack_blocks import controls
from tests.scenarios.stage import Stage, staged


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(tmp_path) as stage:
        yield stage


def roots(stage: Stage, channel: str = CHANNEL) -> list[str]:
    """The messages of the channel itself, by their ts."""
    found = [m for m in stage.slack.messages.values() if m["channel"] == channel]
    return [m["ts"] for m in found if m.get("thread_ts", m["ts"]) == m["ts"]]


def whispers(stage: Stage, user: str = ADA) -> list[str]:
    return [each["text"] for each in stage.slack.whispers if each["user"] == user]


async def answered(stage: Stage, text: str, reply: str, **who: str) -> str:
    stage.generator.replies.append(reply)
    ts = await stage.ask(text, **who)
    await stage.ended(ts)
    return ts


async def test_a_question_is_posted_in_the_persons_name_and_answered_in_its_thread(
    stage: Stage,
) -> None:
    stage.generator.replies.append("It is *blue*.")
    assert await stage.slack.command("ask What colour\nis the sky?") == 200
    await stage.until(lambda: bool(roots(stage)))
    (root,) = roots(stage)
    turn = await stage.ended(root)
    question, reply = stage.slack.thread(root)
    assert question["text"] == "*Ada Lovelace asks:*\n> What colour\n> is the sky?"
    assert reply["text"] == "It is _blue_."
    assert (turn.text, turn.person.name) == ("What colour\nis the sky?", "Ada Lovelace")
    stage.generator.replies.append("Green.")
    follow_up = await stage.slack.say("And the sea?", thread_ts=root)
    await stage.ended(follow_up)


@pytest.mark.parametrize("text", ["<!channel> <@U02> a", "@here a", "<!subteam^S1|@all> a"])
async def test_nothing_that_is_asked_pings(stage: Stage, text: str) -> None:
    await stage.slack.command(text)
    await stage.until(lambda: bool(roots(stage)))
    (root,) = roots(stage)
    assert "<" not in (stage.slack.text(root) or "<")


@pytest.mark.parametrize("text", ["&" * 4_000, "word " * 2_000, "a\n" * 3_000])
async def test_a_question_of_any_length_is_posted_as_far_as_it_fits(
    stage: Stage, text: str
) -> None:
    assert await stage.slack.command(text) == 200
    await stage.until(lambda: len(roots(stage)) == 1)


async def test_a_command_is_acknowledged_in_time_though_the_channel_is_busy(stage: Stage) -> None:
    """One post a second: the question is posted when its turn comes."""
    began = stage.clock.monotonic()
    asking = [asyncio.ensure_future(stage.slack.command(f"ask {n}")) for n in range(5)]
    await stage.until(lambda: all(each.done() for each in asking))
    assert stage.clock.monotonic() - began < 3
    await stage.until(lambda: len(roots(stage)) == 5)


async def test_a_direct_message_is_answered_below_the_question(stage: Stage) -> None:
    stage.generator.replies.append("Blue.")
    await stage.slack.command("what colour is the sky?", channel=DIRECT)
    await stage.until(lambda: len(roots(stage, DIRECT)) == 2)
    assert [stage.slack.text(ts, DIRECT) for ts in roots(stage, DIRECT)][-1] == "Blue."


async def test_where_parley_is_no_member_the_person_is_asked_to_invite_it(stage: Stage) -> None:
    await stage.slack.command("ask anything", channel=NOT_A_MEMBER)
    await stage.slack.command("ask anything", channel="CUNKNOWN")
    await stage.until(lambda: len(stage.slack.commands.told) == 2)
    assert stage.slack.commands.told == [
        (ADA, NOT_A_MEMBER, NOT_INVITED),
        (ADA, "CUNKNOWN", NOT_INVITED),
    ]
    assert not stage.generator.generations


async def test_other_commands_work_where_parley_is_no_member(stage: Stage) -> None:
    await stage.slack.command("help", channel=NOT_A_MEMBER)
    await stage.until(lambda: len(stage.slack.commands.told) == 1)
    assert "`stop` ends the reply" in stage.slack.commands.told[0][2]


async def test_a_response_url_of_another_host_gets_nothing(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.slack.commands.url = "https://hooks.slack.com.evil.example"
    await stage.slack.command("help", channel=NOT_A_MEMBER)
    await stage.until(lambda: "foreign_host" in caplog.text)
    assert stage.slack.commands.told == []


async def test_only_the_person_sees_what_a_command_answers(stage: Stage) -> None:
    await stage.slack.command("status")
    await stage.slack.command("personality", user=BOB)
    await stage.until(lambda: bool(whispers(stage) and whispers(stage, BOB)))
    assert "Model: scripted" in whispers(stage)[0]
    assert "`assistant` answers in this channel." in whispers(stage, BOB)[0]
    assert "`pirate`: Arr." in whispers(stage, BOB)[0]
    assert "Admins choose for the channel here." in whispers(stage, BOB)[0]
    assert roots(stage) == []


async def test_who_answers_in_the_channel_is_picked_from_the_list(stage: Stage) -> None:
    await stage.slack.command("personality", user=BOSS)
    await stage.until(lambda: bool(whispers(stage, BOSS)))
    (shown,) = stage.slack.whispers
    assert controls(shown["blocks"]) == ["Assistant", "Pirate"]
    await stage.slack.press(shown["ts"], "Pirate", user=BOSS)
    await stage.until(lambda: bool(roots(stage)))
    await answered(stage, "Who are you?", "Arr!")
    assert stage.generator.generations[-1].request.messages[0].content == "You are a pirate."


async def test_help_says_where_the_words_can_be_said(stage: Stage) -> None:
    await stage.slack.command("help")
    await stage.until(lambda: bool(whispers(stage)))
    assert "After `/parley` they mean your newest thread" in whispers(stage)[0]
    assert not controls(stage.slack.whispers[0]["blocks"])
    asked = await stage.ask("help")
    await stage.until(lambda: bool(stage.replies(asked)))
    assert "they come after a mention of me, or after `/parley`" in stage.replies(asked)[0]
    assert "`personality NAME channel`" in stage.replies(asked)[0]
    await stage.slack.command("help", channel=DIRECT)
    await stage.until(lambda: len(whispers(stage)) == 2)
    assert "channel" not in whispers(stage)[1]


async def test_what_is_said_of_a_thread_in_several_lines_begins_below_its_name(
    stage: Stage,
) -> None:
    await answered(stage, "One?", "First.")
    await stage.slack.command("status")
    await stage.until(lambda: bool(whispers(stage)))
    assert whispers(stage)[0].startswith("In the thread “One?”:\n• Model: scripted")


async def test_stop_means_the_persons_newest_reply_in_the_channel_and_says_which(
    stage: Stage,
) -> None:
    other = await stage.ask("Count to ten.", user=BOB)
    await stage.generation()
    mine = await stage.ask("Count to a million.")
    generation = await stage.generation()
    generation.say("One")
    await stage.until(lambda: stage.replies(mine) == ["One"])
    await stage.slack.command("stop")
    assert (await stage.ended(mine)).state is TurnState.STOPPED
    await stage.until(lambda: bool(whispers(stage)))
    assert whispers(stage) == ["In the thread “Count to a million.”: Stopped."]
    assert "thread_ts" not in stage.slack.whispers[0]
    assert not (await stage.turn(other)).state.is_finished


async def test_with_nothing_to_stop_it_says_so(stage: Stage) -> None:
    await stage.slack.command("stop")
    await stage.until(lambda: whispers(stage) == [NOTHING_TO_STOP])


async def test_retry_and_forget_mean_the_newest_thread_of_the_person_there(stage: Stage) -> None:
    old = await answered(stage, "One?", "First.")
    await answered(stage, "Two?", "Second.", user=BOB)
    new = await answered(stage, "Three?", "Third.")
    stage.generator.replies.append("Fourth.")
    await stage.slack.command("retry")
    await stage.until(lambda: stage.replies(new) == ["Fourth."])
    assert stage.replies(old) == ["First."]
    await stage.until(lambda: bool(whispers(stage)))
    await stage.ended(new)
    await stage.slack.command("forget")
    await stage.until(lambda: len(whispers(stage)) == 2)
    assert whispers(stage)[1].startswith("In the thread “Three?”: Forgotten: 1 turn.")
    assert not await stage.store.turns(Place("slack", TEAM, CHANNEL, new))


async def test_a_channels_personality_and_listening_are_for_admins(stage: Stage) -> None:
    await stage.slack.command("personality pirate")
    await stage.slack.command("listen on")
    await stage.until(lambda: len(whispers(stage)) == 2)
    assert any("mention me there" in each for each in whispers(stage))
    await stage.slack.command("personality pirate", user=BOSS)
    await stage.slack.command("listen on", user=BOSS)
    await stage.until(lambda: len(whispers(stage, BOSS)) == 2)
    assert HEARD in whispers(stage, BOSS)
    await answered(stage, "Who are you?", "Arr!")
    assert stage.generator.generations[-1].request.messages[0].content == "You are a pirate."


async def test_ask_without_a_question_says_so(stage: Stage) -> None:
    await stage.slack.command("ask")
    await stage.until(lambda: whispers(stage) == [NOTHING_ASKED])


async def test_one_command_delivered_twice_asks_once(stage: Stage) -> None:
    again = stage.slack.commands.command("ask anything", ADA, CHANNEL)
    stage.slack.commands.command = lambda *_: again  # type: ignore[method-assign]
    await stage.slack.command("")
    await stage.slack.command("")
    await stage.clock.advance(5)
    assert len(roots(stage)) == 1


async def test_a_question_that_could_not_be_posted_is_told(stage: Stage) -> None:
    stage.slack.fail("chat.postMessage", *[FAILS] * 20)
    assert await stage.slack.command("ask anything") == 200
    await stage.until(lambda: whispers(stage) == [NOT_POSTED])
    stage.slack.heal("chat.postMessage")
    assert not stage.generator.generations
    assert not await stage.store.owed()


@pytest.mark.parametrize("fault", [FAILS, FAILS_AFTER, DROPS, DROPS_AFTER, rate_limited(5)])
async def test_a_question_is_posted_once_though_slack_fails_for_a_moment(
    stage: Stage, fault: Fault
) -> None:
    stage.slack.fail("chat.postMessage", fault)
    stage.generator.replies.append("Blue.")
    assert await stage.slack.command("ask what colour is the sky?") == 200
    await stage.until(lambda: "Blue." in [m["text"] for m in stage.slack.messages.values()])
    assert len(roots(stage)) == 1
    assert whispers(stage) == []


async def test_a_question_that_cannot_be_stored_does_not_stand_there_unanswered(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def accept(_: object) -> None:
        raise StorageError("data/parley.db is locked")

    monkeypatch.setattr(stage.store, "accept", accept, raising=False)
    assert await stage.slack.command("ask anything") == 200
    await stage.until(lambda: whispers(stage) == [StorageError.sentence])
    assert roots(stage) == []


# The shortcut in a message's menu


async def message(
    stage: Stage, text: str, channel: str = CHANNEL, thread_ts: str | None = None
) -> str:
    """Somebody's message, not for Parley."""
    return await stage.slack.say(text, user=BOB, channel=channel, thread_ts=thread_ts)


async def choose(stage: Stage, ts: str, channel: str = CHANNEL) -> None:
    """Until the form is there."""
    assert await stage.slack.choose_shortcut(ts, ASK_ABOUT, channel=channel) == 200
    await stage.until(lambda: len(stage.slack.commands.views) == 1)


async def test_the_shortcut_asks_about_a_message_in_its_thread(stage: Stage) -> None:
    ts = await message(stage, "the lift is broken")
    await choose(stage, ts)
    stage.generator.replies.append("Take the stairs.")
    assert await stage.slack.submit("What now?") == 200
    await stage.until(lambda: "Take the stairs." in stage.replies(ts))
    assert stage.replies(ts)[0] == "*Ada Lovelace asks:*\n> What now?"
    question = stage.generator.generations[0].question
    assert "What now?\n\n[Message from" in question
    assert "> the lift is broken" in question


async def test_an_empty_form_asks_for_an_explanation(stage: Stage) -> None:
    root = await message(stage, "lunch?")
    ts = await message(stage, "E_PIPE", thread_ts=root)
    await choose(stage, ts)
    assert await stage.slack.submit() == 200
    await stage.generation()
    assert stage.replies(root)[0] == "*Ada Lovelace asks:*\n> Explain this."


@pytest.mark.parametrize("letter", ["a", '"', "\n.", "🦙"])
async def test_of_a_long_message_the_form_carries_what_fits(stage: Stage, letter: str) -> None:
    ts = await message(stage, letter * 3_900)
    await choose(stage, ts)
    assert await stage.slack.submit() == 200
    await stage.generation()


async def test_the_form_of_a_message_in_a_channel_without_parley_says_to_invite_it(
    stage: Stage,
) -> None:
    ts = await message(stage, "hello", channel=NOT_A_MEMBER)
    await choose(stage, ts, NOT_A_MEMBER)
    await stage.slack.submit()
    await stage.until(lambda: stage.slack.commands.told == [(ADA, NOT_A_MEMBER, NOT_INVITED)])


async def test_a_form_that_could_not_be_opened_is_told(stage: Stage) -> None:
    ts = await message(stage, "hello")
    stage.slack.fail("views.open", FAILS)
    await stage.slack.choose_shortcut(ts, ASK_ABOUT)
    await stage.until(lambda: bool(stage.slack.commands.told))
    sentence = "The window for your question could not be opened; please try again."
    assert stage.slack.commands.told == [(ADA, CHANNEL, sentence)]


async def test_who_cannot_be_told_at_slacks_address_is_told_in_the_channel(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slack_commands, "RESPONSE_SECONDS", -1.0)
    ts = await message(stage, "hello")
    stage.slack.fail("views.open", FAILS)
    await stage.slack.choose_shortcut(ts, ASK_ABOUT)
    await stage.until(lambda: bool(whispers(stage)))
    assert "could not be opened" in whispers(stage)[0]


async def test_a_choice_that_is_delivered_twice_opens_one_form(stage: Stage) -> None:
    ts = await message(stage, "hello")
    chosen = stage.slack.commands.shortcut(stage.slack.messages[CHANNEL, ts], ADA, ASK_ABOUT)
    assert await stage.slack.interact(chosen) == 200
    assert await stage.slack.interact(chosen) == 200
    await stage.until(lambda: len(stage.slack.commands.views) == 1)
    await stage.clock.advance(5)
    assert (stage.slack.commands.told, stage.slack.whispers) == ([], [])


async def test_shortcuts_and_forms_of_other_kinds_are_ignored(stage: Stage) -> None:
    ts = await message(stage, "hello")
    assert await stage.slack.choose_shortcut(ts, "somebody.elses") == 200
    assert stage.slack.commands.views == []
    form = {"type": "view_submission", "view": {"callback_id": ASK_ABOUT, "id": "V"}}
    assert await stage.slack.interact(form) == 200
    assert BOT not in [m["user"] for m in stage.slack.messages.values()]

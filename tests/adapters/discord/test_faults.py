"""Whatever Discord does to calls and lines, the final text is delivered, once."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.types import Label, Place
from tests.adapters.discord.talk import Talk, talking
from tests.fakes import discord as wire
from tests.fakes.discord import (
    CALLBACK,
    EDIT,
    EDIT_ORIGINAL,
    SEND,
    THREAD,
    FakeDiscord,
    Fault,
)
from tests.fakes.discord_guild import ADA, BOB, BOT, CHANNEL, GUILD

FAULTS = (
    wire.rate_limited(0.3),
    wire.rate_limited(0.3, is_global=True),
    wire.banned(0.3),
    wire.FAILS,
    wire.OVERLOADED,
    wire.DROPS,
    wire.DROPS_AFTER,
    wire.HANGS,
)
"""Each meets one of as many questions at once, since most of what comes of it is waiting."""


@pytest.fixture
async def talk(tmp_path: Path, discord: FakeDiscord) -> AsyncIterator[Talk]:
    async with talking(tmp_path, discord) as talk:
        yield talk


async def ask_all(discord: FakeDiscord) -> list[str]:
    people = itertools.cycle((ADA, BOB))
    return [await discord.ask("Why?", user=next(people)) for _ in FAULTS]


async def all_answered(discord: FakeDiscord, questions: list[str], route: str) -> None:
    for question in questions:
        await discord.says("The answer.", question)
    assert [discord.texts(question) for question in questions] == [["The answer."]] * len(FAULTS)
    assert discord.num_faults(route) == 0


@pytest.mark.parametrize("route", [SEND, THREAD], ids=["post", "opening the thread"])
async def test_on_the_way_to_a_message_every_reply_comes_once(
    talk: Talk, discord: FakeDiscord, route: str
) -> None:
    discord.fail(route, *FAULTS)
    talk.generator.replies += ["The answer."] * len(FAULTS)
    questions = await ask_all(discord)
    await all_answered(discord, questions, route)
    assert discord.texts(CHANNEL) == []


@pytest.mark.parametrize("last", [False, True], ids=["while growing", "last"])
async def test_on_an_edit_every_final_text_is_delivered(
    talk: Talk, discord: FakeDiscord, last: bool
) -> None:
    questions = await ask_all(discord)
    generations = [await talk.generation() for _ in questions]
    for question in questions:
        await discord.says("Thinking…", question)
    for generation in generations:
        generation.say("The ")
    if last:
        for question in questions:
            await discord.says("The", question)
    num_before = discord.num_calls(EDIT)
    discord.fail(EDIT, *FAULTS)
    for generation in generations:
        generation.say("answer.")
    if not last:
        await discord.until(lambda: discord.num_calls(EDIT) > num_before)
    for generation in generations:
        generation.finish()
    await all_answered(discord, questions, EDIT)


async def test_on_an_interactions_answer_every_final_text_is_delivered(
    talk: Talk, discord: FakeDiscord
) -> None:
    discord.fail(EDIT_ORIGINAL, *FAULTS)
    replies = [f"The answer {number}." for number in range(len(FAULTS))]
    talk.generator.replies += replies
    asked = [await discord.slash("ask", question="Why?") for _ in FAULTS]

    def shown() -> list[str]:
        texts = [*map(discord.answer_to, asked), *discord.texts(CHANNEL)]
        return sorted({text for text in texts if text in replies})

    await discord.until(lambda: shown() == replies)
    assert all(discord.texts(CHANNEL).count(reply) == 1 for reply in replies)
    assert discord.num_faults(EDIT_ORIGINAL) == 0


async def test_an_acknowledgement_that_is_dropped_is_sent_again(
    talk: Talk, discord: FakeDiscord
) -> None:
    discord.fail(CALLBACK, wire.DROPS_AFTER)
    talk.generator.replies.append("The answer.")
    asked = await discord.slash("ask", question="Why?")
    await discord.until(lambda: discord.answer_to(asked) == "The answer.")


async def test_an_interaction_acknowledged_too_late_is_answered_by_a_message(
    talk: Talk, discord: FakeDiscord
) -> None:
    unknown = {"code": 10062, "message": "Unknown interaction"}
    discord.fail(CALLBACK, Fault(404, unknown))
    talk.generator.replies.append("Late, but here.")
    asking = asyncio.create_task(discord.slash("ask", question="Why?"))
    await discord.says("Late, but here.", CHANNEL)
    asking.cancel()


async def test_a_thread_that_was_archived_meanwhile_is_opened_again(
    talk: Talk, discord: FakeDiscord
) -> None:
    question, generation = await talk.asked("Why?")
    await discord.says("Thinking…", question)
    discord.channels[question]["thread_metadata"]["archived"] = True
    generation.say("Because.")
    generation.finish()
    await discord.says("Because.", question)


async def test_a_reply_that_somebody_deletes_is_not_posted_again(
    talk: Talk, discord: FakeDiscord
) -> None:
    question, generation = await talk.asked("Why?")
    reply = await discord.says("Thinking…", question)
    del discord.messages[reply]
    generation.say("Because.")
    generation.finish()
    await talk.is_over(question)
    assert discord.texts(question) == []
    await talk.answered("Still there?", "Yes.")


async def test_a_question_that_is_edited_is_answered_anew(talk: Talk, discord: FakeDiscord) -> None:
    question, generation = await talk.asked("Wy?")
    generation.say("What")
    await discord.says("What", question)
    talk.generator.replies.append("Because.")
    await discord.change_text(question, f"<@{BOT}> Why?")
    await discord.says("Because.", question)
    assert discord.texts(question) == ["Because."]


async def test_an_unfurled_link_in_a_question_changes_nothing(
    talk: Talk, discord: FakeDiscord
) -> None:
    question, generation = await talk.asked("What is https://example.org ?")
    await discord.touch(question)
    await talk.quiet()
    assert len(talk.generator.generations) == 1
    assert not generation.is_cancelled
    generation.finish()


async def test_the_same_event_twice_is_answered_once(talk: Talk, discord: FakeDiscord) -> None:
    question, generation = await talk.asked("Why?")
    event = discord.event_of(discord.messages[question])
    await asyncio.gather(
        *(discord.gateway.dispatch("MESSAGE_CREATE", event, GUILD) for _ in range(3))
    )
    await talk.quiet()
    assert len(talk.generator.generations) == 1
    generation.finish()


async def test_a_line_that_drops_in_the_middle_of_a_reply_changes_nothing_for_people(
    talk: Talk, discord: FakeDiscord
) -> None:
    question, generation = await talk.asked("Why?")
    generation.say("Because")
    await discord.says("Because", question)
    discord.gateway.replay_again = 5
    await discord.gateway.drop()
    generation.say(" of it.")
    generation.finish()
    await discord.says("Because of it.", question)
    missed = await discord.ask("And while you were away?")
    talk.generator.replies.append("I heard you.")
    await discord.until(lambda: discord.gateway.num_resumes)
    await discord.says("I heard you.", missed)
    await talk.quiet()
    assert len(talk.generator.generations) == 2


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"id": None, "channel_id": 7, "author": "me"},
        {"id": "1", "channel_id": CHANNEL, "author": {"id": ADA}, "content": None},
        {"id": "x", "channel_id": "y", "author": {"id": ADA}, "content": f"<@{BOT}> hi"},
        {"message_id": "1", "channel_id": CHANNEL, "user_id": ADA, "emoji": None},
        {"id": "1", "token": "t", "type": 2, "data": [], "channel": 5},
    ],
)
async def test_one_odd_payload_ends_nothing(
    talk: Talk, discord: FakeDiscord, payload: dict[str, object]
) -> None:
    for event in (
        *("MESSAGE_CREATE", "MESSAGE_UPDATE", "MESSAGE_DELETE", "MESSAGE_DELETE_BULK"),
        *("MESSAGE_REACTION_ADD", "INTERACTION_CREATE", "GUILD_CREATE", "THREAD_CREATE", "NEW"),
    ):
        await discord.gateway.dispatch(event, dict(payload), GUILD)
    await talk.answered("Alive?", "Yes.")


async def test_twenty_people_at_once_are_all_answered_with_one_call_per_channel_at_a_time(
    tmp_path: Path,
) -> None:
    async with FakeDiscord(bucket=5, bucket_seconds=0.5) as discord:
        discord.latency = 0.01
        async with talking(tmp_path, discord, threads=False) as talk:
            replies = [f"Answer {number}." for number in range(20)]
            talk.generator.replies += replies
            await asyncio.gather(*(discord.ask(f"{n}?", user=(ADA, BOB)[n % 2]) for n in range(20)))
            await discord.until(lambda: sorted(discord.texts(CHANNEL)) == sorted(replies), 60)
            assert discord.max_in_flight == 1
            assert discord.num_rate_limited == 0


async def test_fifty_interactions_at_once_are_all_acknowledged_before_any_is_answered(
    talk: Talk, discord: FakeDiscord
) -> None:
    discord.ack_seconds = 60.0  # however slow the machine is
    asked = await asyncio.gather(*(discord.slash("ask", question=f"{n}?") for n in range(50)))
    assert all(each.callback == 5 for each in asked)
    for _ in asked:
        generation = await talk.generation()
        generation.say("Yes.")
        generation.finish()
    await discord.until(lambda: all(discord.answer_to(each) == "Yes." for each in asked), 60)


async def test_a_commands_file_that_did_not_change_is_not_written_again(
    tmp_path: Path, discord: FakeDiscord
) -> None:
    put = "PUT /applications/{application_id}/commands"
    for _ in range(3):
        async with talking(tmp_path, discord):
            await discord.until(lambda: discord.commands)
    assert discord.num_calls(put) == 1
    discord.commands[0]["description"] = "changed by somebody"
    async with talking(tmp_path, discord):
        await discord.until(lambda: discord.num_calls(put) == 2)


async def test_commands_of_named_servers_are_written_there_and_only_once(
    tmp_path: Path, discord: FakeDiscord
) -> None:
    for _ in range(2):
        async with talking(tmp_path, discord, guild_ids=(GUILD,)):
            await discord.until(lambda: discord.guild_commands)
    names = [each["name"] for each in discord.guild_commands[GUILD]]
    assert names == ["ask", "parley", "Ask Parley about this"]
    put = "PUT /applications/{application_id}/guilds/{guild_id}/commands"
    assert discord.num_calls(put) == 1
    assert discord.commands == []


async def test_a_call_after_the_end_says_that_discord_is_not_connected(
    tmp_path: Path, discord: FakeDiscord
) -> None:
    async with talking(tmp_path, discord) as talk:
        adapter = talk.adapter
    place = Place("discord", GUILD, CHANNEL, "1")
    with pytest.raises(Exception, match="not connected"):
        await adapter.post(place, adapter.render("x"), Label("t", 0))

"""What a person can say besides asking."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.stored import TurnState
from bot.turns.spoken import parse
from bot.types import Feedback
from tests.bot.talk import ADA, BOB, BOSS, Talk, place, talking


@pytest.fixture
async def talk(tmp_path: Path) -> AsyncIterator[Talk]:
    async with talking(tmp_path) as talk:
        yield talk


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("stop", ("stop", "")),
        ("  Stop! ", ("stop", "")),
        ("/help", ("help", "")),
        ("Continue.", ("continue", "")),
        ("continue the story", None),
        ("personality", ("personality", "")),
        ("Personality  pirate", ("personality", "pirate")),
        ("personality pirate channel", ("personality", "pirate channel")),
        ("Listen", ("listen", "")),
        ("listen on.", ("listen", "on")),
        ("listen off", ("listen", "off")),
        ("listen to me", None),
        ("Catch up", ("catch up", "")),
        ("catch up on that", None),
        ("help me with x", None),
        ("stop it", None),
        ("personality of a good teacher", None),
        ("retry\nplease", None),
        ("", None),
    ],
)
def test_a_message_is_a_command_only_as_a_whole(text: str, command: tuple[str, str] | None) -> None:
    assert parse(text) == command


async def test_retry_answers_again_in_the_same_message(talk: Talk) -> None:
    question = await talk.answered("How are you?", "Bad.")
    talk.generator.replies.append("Good.")
    await talk.ask("retry")
    turn = await talk.ended(question)
    assert talk.visible() == ["Good."]
    assert (turn.reply, turn.number) == ("Good.", 1)
    assert [each.role for each in talk.generator.generations[-1].request.messages] == [
        "system",
        "user",
    ]


async def test_retry_twice_at_once_answers_once(talk: Talk) -> None:
    question = await talk.answered("How are you?", "Bad.")
    await asyncio.gather(talk.ask("retry"), talk.ask("retry"))
    generation = await talk.generation()
    generation.say("Good.")
    generation.finish()
    await talk.ended(question)
    await talk.quiet()
    assert talk.visible()[0] == "Good."
    assert len(talk.generator.generations) == 2


async def test_only_the_asker_or_an_admin_may_retry(talk: Talk) -> None:
    await talk.answered("How are you?", "Bad.")
    await talk.ask("retry", person=BOB)
    await talk.until(lambda: bool(talk.whispers(BOB)))
    assert talk.visible() == ["Bad."]
    talk.generator.replies.append("Good.")
    await talk.ask("retry", person=BOSS)
    await talk.sees("Good.")


async def test_retry_with_nothing_to_retry_says_so(talk: Talk) -> None:
    await talk.ask("retry")
    await talk.sees("There is nothing here to answer again.")


async def test_retry_while_the_reply_is_under_way_says_so(talk: Talk) -> None:
    await talk.ask("How are you?")
    await talk.generation()
    await talk.ask("retry")
    await talk.sees("Thinking…", "The last question is still being answered.")


async def test_forget_deletes_the_thread_and_begins_anew(talk: Talk) -> None:
    await talk.answered("I am Ada.", "Hello Ada.")
    await talk.ask("forget")
    await talk.sees("Hello Ada.", "Forgotten: 1 turn. What you say next begins anew.")
    await talk.answered("Who am I?", "No idea.")
    assert len(talk.generator.generations[-1].request.messages) == 2
    assert len(await talk.store.turns(place())) == 1


async def test_forget_reaches_what_the_engine_keeps_of_the_thread_too(talk: Talk) -> None:
    await talk.answered("I am Ada.", "Hello Ada.")
    request = talk.generator.generations[-1].request
    await talk.ask("forget")
    assert talk.generator.forgotten == [(request.thread, request.scope)]


async def test_forgetting_a_thread_in_which_others_spoke_needs_an_admin(talk: Talk) -> None:
    await talk.answered("One?", "First.")
    await talk.answered("Two?", "Second.", person=BOB)
    await talk.ask("forget")
    await talk.until(lambda: bool(talk.whispers(ADA)))
    assert len(await talk.store.turns(place())) == 2
    await talk.ask("forget", person=BOSS)
    await talk.until(lambda: len(talk.visible()) == 3)
    assert await talk.store.turns(place()) == []


async def test_a_remark_of_somebody_else_counts_as_having_spoken(talk: Talk) -> None:
    await talk.answered("One?", "First.")
    await talk.ask("Hm.", person=BOB, is_mention=False, mentions_others=True)
    await talk.ask("forget")
    await talk.until(lambda: bool(talk.whispers(ADA)))
    assert len(await talk.store.turns(place())) == 1


async def test_ones_own_remark_and_another_name_do_not_count_as_somebody_else(talk: Talk) -> None:
    await talk.answered("One?", "First.")
    renamed = replace(ADA, name="Ada Lovelace")
    await talk.ask("Hm.", person=renamed, is_mention=False, mentions_others=True)
    await talk.ask("forget")
    await talk.until(lambda: len(talk.visible()) == 2)
    assert await talk.store.turns(place()) == []


async def test_who_spoke_before_the_context_of_the_model_begins_spoke_all_the_same(
    talk: Talk,
) -> None:
    await talk.answered("One?", "First.", person=BOB)
    await talk.answered("Two?", "Second.")
    await talk.store.keep_from(place(), 2)
    await talk.ask("forget")
    await talk.until(lambda: bool(talk.whispers(ADA)))
    assert len(await talk.store.turns(place())) == 1


async def test_forget_ends_what_is_under_way_and_keeps_nothing_of_it(talk: Talk) -> None:
    await talk.ask("One?")
    await talk.ask("Two?")
    generation = await talk.generation()
    generation.say("Fir")
    await talk.sees("Fir", "Next in this thread…")
    await talk.ask("forget")
    await talk.quiet()
    assert generation.is_cancelled
    assert talk.visible()[:2] == ["Fir\n\n_(stopped)_", "Stopped."]
    assert await talk.store.turns(place()) == []
    assert await talk.store.unfinished() == []
    await talk.answered("Three?", "Third.")


async def test_status_tells_model_queue_personality_context_and_allowance(
    tmp_path: Path,
) -> None:
    async with talking(tmp_path, max_in_flight=4, per_minute=30) as talk:
        await talk.answered("One?", "First.")
        await talk.ask("Two?", thread="t2", person=BOB)
        await talk.ask("status")
        await talk.until(lambda: len(talk.visible()) == 2)
        assert talk.visible()[1] == (
            "- Model: scripted\n"
            "- Questions: 1 under way, 0 waiting\n"
            "- Personality of this thread: assistant\n"
            "- Context: 1 turn of this thread\n"
            "- Left for you: 4 questions at once, 29 questions this minute"
        )


async def test_help_lists_commands_and_personalities(talk: Talk) -> None:
    await talk.ask("help")
    await talk.until(lambda: bool(talk.visible()))
    for word in ("stop", "continue", "retry", "forget", "status", "personality", "`pirate`"):
        assert word in talk.visible()[0]


async def test_a_personality_is_listed_and_set_for_the_thread(talk: Talk) -> None:
    await talk.ask("personality")
    await talk.until(lambda: "`pirate`: Arr." in "".join(talk.visible()))
    await talk.ask("personality pirate")
    await talk.until(lambda: len(talk.visible()) == 2)
    assert talk.visible()[1] == "**Pirate** answers in this thread from now on."
    await talk.answered("Who are you?", "Arr!")
    assert talk.generator.generations[-1].request.messages[0].content == "You are a pirate."
    await talk.answered("Who are you?", "Parley.", thread="t2")
    assert talk.generator.generations[-1].request.messages[0].content == "You are Parley."


async def test_a_channels_personality_needs_an_admin(talk: Talk) -> None:
    await talk.ask("personality pirate channel")
    await talk.until(lambda: bool(talk.whispers(ADA)))
    assert await talk.store.personality(place()) is None
    await talk.ask("personality pirate channel", person=BOSS)
    await talk.answered("Who are you?", "Arr!", thread="t2")
    assert talk.generator.generations[-1].request.messages[0].content == "You are a pirate."


async def test_an_unknown_personality_is_refused_with_those_there_are(talk: Talk) -> None:
    await talk.ask("personality piraet")
    await talk.until(lambda: bool(talk.whispers(ADA)))
    assert "assistant, pirate" in talk.whispers(ADA)[0]
    assert await talk.store.personality(place()) is None


async def test_a_platforms_own_command_does_the_same(talk: Talk) -> None:
    await talk.command("personality", "pirate")
    assert await talk.store.personality(place()) == "pirate"


async def test_a_command_delivered_twice_is_answered_once(talk: Talk) -> None:
    await asyncio.gather(talk.ask("status", message_id="c"), talk.ask("status", message_id="c"))
    await talk.quiet()
    assert len(talk.visible()) == 1


async def test_a_judgement_is_kept_with_the_turn(talk: Talk) -> None:
    question = await talk.answered("How are you?", "Fine.")
    (message_id,) = talk.platform.messages
    await talk.service.handle(
        Feedback(event_id="f", place=place(), person=ADA, message_id=message_id, rating=-1)
    )
    assert (await talk.turn(question)).state is TurnState.DONE

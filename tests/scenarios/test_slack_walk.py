"""A walk through what a person does in Slack: real server, real process, real SDK, real model."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
import pytest_asyncio

from tests.local_slack import BOB, BOT, DIRECT
from tests.scenarios.chat import Asked, Chat, chatting
from tests.scenarios.disk import turn_rows
from tests.scenarios.polling import eventually

pytestmark = [
    pytest.mark.local_slack,
    pytest.mark.model,
    pytest.mark.asyncio(loop_scope="module"),
]

ACK_SECONDS = 3.0
STOP_SECONDS = 3.0
QUESTION = "What is the capital of France? Answer in one sentence."


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chat(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Chat]:
    async with chatting(tmp_path_factory.mktemp("walk")) as chat:
        yield chat


async def test_a_mention_is_answered_by_one_message_that_grows(chat: Chat) -> None:
    asked = await chat.long_reply()
    await chat.grows(asked, num_texts=3)
    chat.brake.unlink()
    (post,) = (await chat.ended(asked)).posts
    placeholder = chat.sights(post)[0]
    assert asked.ack_seconds < ACK_SECONDS
    assert placeholder.text == "Thinking…"
    assert placeholder.at - asked.at < ACK_SECONDS
    growth = chat.growth(post)
    assert len(growth) >= 3
    assert all(len(before) < len(after) for before, after in pairwise(growth))
    assert growth[-1] == await chat.local.text(post)


async def test_a_follow_up_needs_no_mention_and_the_thread_goes_on(chat: Chat) -> None:
    asked = await chat.ask(QUESTION)
    first = await chat.ended(asked)
    follow_up = await chat.say("And of Italy?", thread_ts=asked.ts)
    second = await chat.ended(follow_up)
    replies = [message["ts"] for message in await chat.local.replies(asked.ts)]
    assert replies == [*first.posts, *second.posts]
    assert "2 turns of this thread" in await chat.command("status", asked.ts)


async def test_a_direct_message_is_answered_flat(chat: Chat) -> None:
    asked = await chat.say(QUESTION, channel=DIRECT)
    (post,) = (await chat.ended(asked)).posts
    (reply,) = [m for m in await chat.local.messages(DIRECT) if m["ts"] == post]
    assert reply.get("thread_ts") in (None, post)
    assert reply["text"].strip()


async def has_stopped(chat: Chat, asked: Asked, since: float) -> None:
    turn = await chat.ended(asked)
    (post,) = turn.posts
    last = chat.sights(post)[-1]
    assert turn.state == "stopped"
    assert last.text is not None
    assert last.text.endswith("_(stopped)_")
    assert last.at - since < STOP_SECONDS


async def test_a_stop_sign_ends_the_reply_and_a_strangers_does_not(chat: Chat) -> None:
    asked = await chat.long_reply()
    (post,) = chat.turn(asked).posts
    await chat.local.reaction(post, "octagonal_sign", user=BOB)
    await chat.grows(asked, num_texts=len(chat.growth(post)) + 1)
    assert chat.turn(asked).state == "running"
    since = time.monotonic()
    await chat.local.reaction(post, "octagonal_sign")
    await has_stopped(chat, asked, since)


async def test_deleting_the_question_stops_its_reply(chat: Chat) -> None:
    asked = await chat.long_reply()
    since = time.monotonic()
    await chat.local.delete(asked.ts)
    await has_stopped(chat, asked, since)


async def test_the_word_stop_ends_the_reply(chat: Chat) -> None:
    asked = await chat.long_reply()
    since = time.monotonic()
    await chat.say("stop", thread_ts=asked.thread_ts)
    await has_stopped(chat, asked, since)


async def test_an_edited_question_is_answered_anew_in_the_same_message(chat: Chat) -> None:
    asked = await chat.ask(QUESTION)
    before = await chat.ended(asked)
    num_sights = len(chat.sights(before.posts[0]))
    await chat.local.edit(asked.ts, f"<@{BOT}> What is the capital of Italy?")
    after = await chat.ended(asked)
    assert after.text == "What is the capital of Italy?"
    assert [message["ts"] for message in await chat.local.replies(asked.ts)] == [*before.posts]
    assert len(chat.sights(before.posts[0])) > num_sights


async def test_an_edit_that_only_unfurls_a_link_does_nothing(chat: Chat) -> None:
    text = f"<@{BOT}> {QUESTION}"
    asked = await chat.say(text)
    before = await chat.ended(asked)
    num_sights = len(chat.sights(before.posts[0]))
    await chat.local.edit(asked.ts, text)
    assert chat.turn(asked) == before
    assert "0 under way" in await chat.command("status", asked.ts)
    assert len(chat.sights(before.posts[0])) == num_sights


async def test_retry_answers_anew_in_the_same_message(chat: Chat) -> None:
    asked = await chat.ask(QUESTION)
    before = await chat.ended(asked)
    num_sights = len(chat.sights(before.posts[0]))
    await chat.ask("retry", thread_ts=asked.ts)
    after = await chat.ended(asked)
    assert (after.state, after.posts) == ("done", before.posts)
    assert [message["ts"] for message in await chat.local.replies(asked.ts)] == [*before.posts]
    await eventually(lambda: len(chat.sights(before.posts[0])) > num_sights)


async def test_the_buttons_stop_a_reply_and_answer_it_again(chat: Chat) -> None:
    asked = await chat.long_reply()
    (post,) = chat.turn(asked).posts
    since = time.monotonic()
    await chat.local.press(post, "Stop")
    await has_stopped(chat, asked, since)
    await offers(chat, post, "Retry")
    await chat.local.press(post, "Retry")
    await offers(chat, post, "Stop")
    await chat.local.press(post, "Stop")
    assert (await chat.ended(asked)).posts == (post,)


async def offers(chat: Chat, post: str, title: str) -> None:
    """Until such a button stands under the message."""
    async with asyncio.timeout(10):
        while title not in await chat.local.buttons(post):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_a_thread_gets_the_personality_that_was_named(chat: Chat) -> None:
    asked = await chat.ask(QUESTION)
    await chat.ended(asked)
    said = await chat.command("personality coder", asked.ts)
    assert said == "*Coder* answers in this thread from now on."
    assert "now `coder`" in await chat.command("help", asked.ts)
    elsewhere = await chat.ask(QUESTION)
    await chat.ended(elsewhere)
    assert "now `assistant`" in await chat.command("help", elsewhere.ts)


async def test_a_forgotten_thread_begins_anew(chat: Chat) -> None:
    asked = await chat.ask(QUESTION)
    await chat.ended(asked)
    said = await chat.command("forget", asked.ts)
    assert said == "Forgotten: 1 turn. What you say next begins anew."
    assert asked.ts not in turn_rows(chat.parley.database)
    assert "0 turns of this thread" in await chat.command("status", asked.ts)


async def test_help_tells_what_one_can_say(chat: Chat) -> None:
    asked = await chat.ask("help")
    (reply,) = await eventually(lambda: chat.local.replies(asked.ts))
    for word in ("stop", "retry", "personality", "forget", "status"):
        assert f"`{word}" in reply["text"]

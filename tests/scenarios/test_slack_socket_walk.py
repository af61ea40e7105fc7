"""The walk of a person in Slack over Socket Mode: real server, process, SDK and model."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from tests.local_slack import BOT, DIRECT
from tests.scenarios.chat import Chat, chatting

pytestmark = [pytest.mark.local_slack, pytest.mark.model]

QUESTION = "What is the capital of France? Answer in one sentence."


async def test_a_person_walks_through_slack_over_socket_mode(tmp_path: Path) -> None:
    async with chatting(tmp_path, uses_socket_mode=True) as chat:
        await grows_and_is_stopped_by_a_button(chat)
        thread = await has_an_answer_and_a_follow_up(chat)
        assert "2 turns of this thread" in await chat.command("status", thread)
        await is_answered_anew_once_edited(chat)
        await stops_when_its_question_is_deleted(chat)
        direct = await chat.ended(await chat.say(QUESTION, channel=DIRECT))
        assert direct.state == "done"
        await chat.local.command("help")
        log = await chat.local.log()
        assert not [entry for entry in log if entry.get("status") in ("error", "timeout")]


async def grows_and_is_stopped_by_a_button(chat: Chat) -> None:
    asked = await chat.long_reply()
    (post,) = chat.turn(asked).posts
    await chat.grows(asked, num_texts=3)
    await chat.local.press(post, "Stop")
    assert (await chat.ended(asked)).state == "stopped"
    assert chat.sights(post)[0].text == "Thinking…"
    *growth, stopped = chat.growth(post)
    assert all(len(before) < len(after) for before, after in pairwise(growth))
    assert stopped.endswith("_(stopped)_")


async def has_an_answer_and_a_follow_up(chat: Chat) -> str:
    asked = await chat.ask(QUESTION)
    first = await chat.ended(asked)
    second = await chat.ended(await chat.say("And of Italy?", thread_ts=asked.ts))
    replies = [message["ts"] for message in await chat.local.replies(asked.ts)]
    assert replies == [*first.posts, *second.posts]
    return asked.ts


async def is_answered_anew_once_edited(chat: Chat) -> None:
    asked = await chat.ask(QUESTION)
    before = await chat.ended(asked)
    await chat.local.edit(asked.ts, f"<@{BOT}> What is the capital of Italy?")
    after = await chat.ended(asked)
    assert (after.text, after.posts) == ("What is the capital of Italy?", before.posts)


async def stops_when_its_question_is_deleted(chat: Chat) -> None:
    asked = await chat.long_reply()
    await chat.local.delete(asked.ts)
    assert (await chat.ended(asked)).state == "stopped"
